import axe from 'axe-core';

/**
 * What is wrong with a page as it stands there: what axe-core finds serious or critical, and
 * whether the whole page has to be scrolled sideways. `only` names some rules of axe-core.
 */
export async function examine(page, only) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe.source);
  const { violations, wide, overflow } = await page.evaluate(async (rules) => {
    const options = { resultTypes: ['violations'], iframes: false, preload: false, selectors: false };
    const results = await window.axe.run(document, rules ? { ...options, runOnly: rules } : options);
    const root = document.documentElement;
    return {
      violations: results.violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, nodes: nodes.map(({ html }) => html.slice(0, 200)) })),
      wide: root.clientWidth,
      overflow: root.scrollWidth,
    };
  }, only);
  const mistakes = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, impact, help, nodes }) => `${impact}: ${id}: ${help}\n    ${nodes.slice(0, 3).join('\n    ')}`);
  if (overflow > wide) mistakes.push(`it is ${overflow} px wide in a window of ${wide} px`);
  return mistakes;
}
