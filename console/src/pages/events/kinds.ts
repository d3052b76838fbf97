import type { Text } from '@/i18n';

/** Kinds of events that have a name here. WeChat adds others, which go by their own. */
const names: Record<string, Text> = {
  authorized: { zh: '商家授权', en: 'A merchant has authorized' },
  updateauthorized: { zh: '商家变更授权', en: 'A merchant has changed the authorization' },
  unauthorized: { zh: '商家取消授权', en: 'A merchant has taken the authorization back' },
  component_verify_ticket: { zh: '验证票据', en: 'Verify ticket' },
  notify_third_fasteregister: { zh: '快速注册小程序结果', en: 'Result of a quick registration' },
  notify_third_fastregisterbetaapp: { zh: '试用小程序创建结果', en: 'Result of making a trial mini program' },
  notify_third_fastverifybetaapp: { zh: '试用小程序转正结果', en: 'Result of verifying a trial mini program' },
  text: { zh: '文本消息', en: 'Text message' },
  image: { zh: '图片消息', en: 'Image' },
  voice: { zh: '语音消息', en: 'Voice message' },
  video: { zh: '视频消息', en: 'Video' },
  shortvideo: { zh: '小视频消息', en: 'Short video' },
  location: { zh: '位置消息', en: 'Location' },
  link: { zh: '链接消息', en: 'Link' },
  miniprogrampage: { zh: '小程序卡片', en: 'Mini program card' },
  'event.subscribe': { zh: '用户关注', en: 'A user has followed' },
  'event.unsubscribe': { zh: '用户取消关注', en: 'A user has unfollowed' },
  'event.SCAN': { zh: '已关注用户扫码', en: 'A follower has scanned a code' },
  'event.CLICK': { zh: '点击菜单', en: 'Menu item clicked' },
  'event.VIEW': { zh: '点击菜单链接', en: 'Menu link opened' },
  'event.LOCATION': { zh: '上报位置', en: 'Location reported' },
  'event.TEMPLATESENDJOBFINISH': { zh: '模板消息发送结果', en: 'Template message sent' },
  'event.MASSSENDJOBFINISH': { zh: '群发结果', en: 'Mass message sent' },
  'event.user_enter_tempsession': { zh: '用户进入客服会话', en: 'A user has opened the service chat' },
  'event.subscribe_msg_popup_event': { zh: '订阅消息弹窗操作', en: 'Subscription message asked for' },
  'event.weapp_audit_success': { zh: '小程序代码审核通过', en: 'Mini program code approved' },
  'event.weapp_audit_fail': { zh: '小程序代码审核不通过', en: 'Mini program code rejected' },
  'event.weapp_audit_delay': { zh: '小程序代码审核延后', en: 'Mini program review delayed' },
  unparsed: { zh: '无法解析的推送', en: 'A push that cannot be read' },
  unknown: { zh: '类型未知的推送', en: 'A push of no known kind' },
  'tuoguan.authorized': { zh: '授权完成，可调用接口', en: 'Authorized and ready for calls' },
  'tuoguan.updated': { zh: '授权已更新，可调用接口', en: 'Authorization renewed and ready' },
  'tuoguan.needs_reauthorization': { zh: '需商家重新授权', en: 'The merchant has to authorize again' },
  'tuoguan.ticket_overdue': { zh: '验证票据逾期未到', en: 'Verify tickets have stopped' },
  'tuoguan.quota_low': { zh: '接口额度将尽', en: 'An interface’s quota runs low' },
  'tuoguan.subscription_disabled': { zh: '订阅被停用', en: 'A subscription was disabled' },
  'tuoguan.test': { zh: '测试事件', en: 'Test event' },
};

const beginnings: Record<string, Text> = {
  '*': { zh: '全部事件', en: 'All events' },
  'event.*': { zh: '所有用户行为与系统通知', en: 'All that users or WeChat did' },
  'notify_*': { zh: '注册与备案结果', en: 'Results of registrations' },
  'event.weapp_audit_*': { zh: '小程序审核结果', en: 'Results of code reviews' },
  'tuoguan.*': { zh: '托管系统自身的事件', en: 'Events of Tuoguan itself' },
};

/** What a kind, or the beginning of some, stands for; undefined where it has no name here. */
export function kindText(kind: string): Text | undefined {
  return names[kind] ?? beginnings[kind];
}

/** Verify tickets are credentials: they are listed, and neither shown nor delivered. */
export function deliverable(kind: string): boolean {
  return kind !== 'component_verify_ticket';
}

/** What can be asked for, the wide ones first. */
export const knownKinds: string[] = [...Object.keys(beginnings), ...Object.keys(names)];
