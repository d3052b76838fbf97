export default {
  name: 'Tuoguan',
  skip: 'Skip to the content',
  menu: 'Menu',
  pages: 'Pages',
  group: { operate: 'Operate', build: 'Build', manage: 'Manage' },
  language: 'Language',
  theme: { theme: 'Appearance', system: 'As the system', light: 'Light', dark: 'Dark' },
  connection: { up: 'Connected', down: 'Disconnected', resting: 'Left alone: nothing is refreshed by itself' },
  disconnected: 'The server cannot be reached; trying again. Nothing you typed is lost.',
  account: 'My account: {{name}}',
  signOut: 'Sign out',
};
