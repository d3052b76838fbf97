export default {
  name: '托管',
  skip: '跳到正文',
  menu: '菜单',
  pages: '页面',
  group: { operate: '运行', build: '开发', manage: '管理' },
  language: '语言',
  theme: { theme: '外观', system: '跟随系统', light: '浅色', dark: '深色' },
  connection: { up: '已连接', down: '已断开', resting: '长时间无操作，已暂停自动刷新' },
  disconnected: '与服务器的连接已断开，正在自动重连。已输入的内容不会丢失。',
  account: '我的账号：{{name}}',
  signOut: '退出',
};
