// @ts-check
// Verification of results: a button that becomes a badge with all checks.

import { call } from './api.js';
import { el, notice, say } from './dom.js';
import { noteText, t } from './text.js';

/** Verifications by path of the result. @type {Map<string, any>} */
const known = new Map();

/** Creates the button, or the badge of a result that was verified. @param {string} path of the result in the API */
export function verification(path) {
  const box = el('div', { className: 'badge' });
  const show = () => {
    const found = known.get(path);
    box.replaceChildren(found ? badge(found) : button);
  };
  const button = el('button', { className: 'plain', type: 'button', 'data-act': 'verify', onclick: async () => {
    button.disabled = true;
    button.textContent = t('verifying');
    try {
      known.set(path, await call('GET', `${path}/verification`));
      say(t(known.get(path).right ? 'verified' : 'not_verified'));
      show();
      box.querySelector('summary')?.focus();
    } catch (error) {
      notice(/** @type {Error} */ (error).message);
      [button.disabled, button.textContent] = [false, t('verify')];
    }
  } }, t('verify'));
  show();
  return box;
}

/** Creates the badge: all checks when opened. @param {{right: boolean, checks: any[]}} found */
function badge({ right, checks }) {
  const signs = /** @type {Record<string, string>} */ ({ right: '✓', wrong: '✗', unknown: '–' });
  const item = (/** @type {any} */ { name, verdict, expected, found }) =>
    el('li', { className: verdict === 'wrong' ? 'no' : '' }, `${signs[verdict]} ${t(`check_${name.replace(/\W+/g, '_')}`, {}, name)}`, verdict === 'wrong' && `: ${noteText(expected)} → ${noteText(found)}`);
  return el('details', {}, el('summary', { className: right ? 'yes' : 'no', 'data-act': 'verify' }, right ? `✓ ${t('verified')}` : `✗ ${t('not_verified')}`), el('ul', { className: 'notes' }, ...checks.map(item)));
}
