/** The colour that goes with the state of a link. */
export function linkTheme(state: 'open' | 'used' | 'expired') {
  return ({ open: 'primary', used: 'success', expired: 'default' } as const)[state];
}
