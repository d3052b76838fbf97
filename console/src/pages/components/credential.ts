/** What WeChat's console takes. */
export const shapes = {
  appid: /^wx[0-9a-zA-Z]{16}$/,
  token: /^[0-9a-zA-Z]{3,32}$/,
  encoding_aes_key: /^[0-9a-zA-Z]{43}$/,
} as const;
