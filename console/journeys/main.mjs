// Walks through the console as its operators do, in a real browser against a real demo.
//
//   npm run journeys                      bin/tuoguan must be built, with the console in it
//   npm run journeys -- --screenshots     renews docs/screenshots as well
//
// EVERY_LOOK=1 has both languages look at every page in all four looks.
// TUOGUAN and CHROMIUM name other programs than ../bin/tuoguan and Debian's Chromium.
import './wizard.mjs';
import './signin.mjs';
import './authorize.mjs';
import './heal.mjs';
import './message.mjs';
import './replay.mjs';
import './key.mjs';
import './viewer.mjs';
import './reveal.mjs';
import './ended.mjs';
import './disconnected.mjs';
import './keyboard.mjs';
import './pages.mjs';
