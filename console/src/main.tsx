import 'tdesign-react/es/_util/react-19-adapter';
import 'tdesign-react/es/style/index.css';
import './style.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { startAttention } from './api/attention';
import { startI18n } from './i18n';
import { App } from './layout/App';
import { startTheme } from './theme';

startTheme();
startAttention();
void startI18n().then(() => {
  createRoot(document.getElementById('root')!).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
});
