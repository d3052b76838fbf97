import { useTranslation } from 'react-i18next';
import { useLanguage, type Text } from '@/shared';
import { Time } from '@/shared';

// What WeChat's element names mean to somebody who has not read its documentation.
const meanings: Record<string, Text> = {
  ToUserName: { zh: '收到消息的账号（原始 ID）', en: 'The account written to, by its original id' },
  FromUserName: { zh: '发送者的 OpenID', en: 'Who wrote, by OpenID' },
  CreateTime: { zh: '微信记录的时间', en: 'When, by WeChat’s clock' },
  MsgType: { zh: '消息类型', en: 'What kind of message' },
  MsgId: { zh: '消息编号，用于去重', en: 'Number of the message, the same when WeChat repeats it' },
  Content: { zh: '文本内容', en: 'The text' },
  Event: { zh: '事件名称', en: 'What happened' },
  EventKey: { zh: '菜单或二维码的参数', en: 'Which menu item or code' },
  Ticket: { zh: '二维码的票据', en: 'Ticket of the code that was scanned' },
  MediaId: { zh: '素材编号，可用于下载', en: 'Of the file, to download it by' },
  PicUrl: { zh: '图片地址', en: 'Address of the picture' },
  Format: { zh: '语音格式', en: 'Format of the voice message' },
  Recognition: { zh: '语音识别结果', en: 'What was understood of it' },
  Location_X: { zh: '纬度', en: 'Latitude' },
  Location_Y: { zh: '经度', en: 'Longitude' },
  Label: { zh: '位置名称', en: 'Name of the place' },
  InfoType: { zh: '授权事件类型', en: 'What kind of authorization event' },
  AppId: { zh: '第三方平台 AppID', en: 'AppID of the component' },
  AuthorizerAppid: { zh: '授权账号 AppID', en: 'AppID of the account' },
  AuthorizationCode: { zh: '授权码，已由服务换取令牌，此处为空', en: 'Exchanged already, and therefore empty' },
  AuthorizationCodeExpiredTime: { zh: '授权码过期时间', en: 'When the code expires' },
  PreAuthCode: { zh: '预授权码，此处为空', en: 'Pre-auth code, empty here' },
  permission_sets: { zh: '已授权的权限集', en: 'Permission sets granted' },
  reference: { zh: '授权链接中的租户标识', en: 'The tenant, as the link named it' },
};

const seconds = new Set(['CreateTime', 'AuthorizationCodeExpiredTime']);

/** The fields of an event as a table; what has parts is a table in it. */
export function Fields({ fields }: { fields: Record<string, unknown> }) {
  const { t } = useTranslation('events');
  const { text } = useLanguage();
  return (
    <div className="events-scroll" tabIndex={0} role="group" aria-label={t('body.fields')}>
      <table className="events-table">
        <thead>
          <tr>
            <th scope="col">{t('body.name')}</th>
            <th scope="col">{t('body.value')}</th>
            <th scope="col">{t('body.meaning')}</th>
          </tr>
        </thead>
        <tbody>
          {rows(fields).map(([name, value]) => {
            const meaning = meanings[name.split('.').at(-1)!];
            return (
              <tr key={name}>
                <th scope="row">
                  <code>{name}</code>
                </th>
                <td>{value}</td>
                <td>
                  {meaning && text(meaning)}
                  {seconds.has(name) && Number(value) > 0 && (
                    <>
                      {t('body.colon')}
                      <Time at={new Date(Number(value) * 1_000).toISOString()} exact />
                    </>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Nested fields by dotted names, elements of lists by their numbers. */
function rows(value: unknown, name = ''): Array<[string, string]> {
  if (Array.isArray(value)) return value.flatMap((element, i) => rows(element, `${name}[${i}]`));
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, part]) => rows(part, name === '' ? key : `${name}.${key}`));
  }
  return [[name, String(value)]];
}
