import { Button } from 'tdesign-react';
import { Component, type ReactNode } from 'react';
import { Translation } from 'react-i18next';

/** Shows that a page failed instead of losing the whole console. */
export class Boundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <Translation ns="shared">
        {(t) => (
          <div role="alert" className="crash">
            <h1>{t('error.crash')}</h1>
            <p>{t('error.crashHint')}</p>
            {/* A reload also fetches the code of a server that was upgraded meanwhile. */}
            <Button onClick={() => location.reload()}>{t('retry')}</Button>
          </div>
        )}
      </Translation>
    );
  }
}
