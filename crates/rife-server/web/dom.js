// @ts-check
// DOM helpers. Texts are set as text nodes, never as markup, so that file names cannot inject HTML.

import { t } from './text.js';

/** Creates an element with properties, event listeners (`onclick`), attributes (names with a dash, `role`, `for`) and children.
 * @param {string} name
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key.includes('-') || key === 'role' || key === 'for') element.setAttribute(key, String(value));
    else /** @type {any} */ (element)[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => /** @type {Node | string} */ (child)));
  return element;
}

/** Sets the text of all elements with `data-text` in the current language. */
export function translate() {
  for (const element of document.querySelectorAll('[data-text]')) {
    element.textContent = t(/** @type {HTMLElement} */ (element).dataset.text ?? '');
  }
}

/** Announces a text to screen readers.
 * @param {string} text
 */
export function say(text) {
  const said = document.getElementById('said');
  if (said) said.textContent = text;
}

/** Time since which the server cannot be reached; null while it can. @type {Date | null} */
let offlineSince = null;

/** Shows whether the server can be reached; while it cannot, the jobs are grey.
 * @param {boolean} up
 */
export function connection(up) {
  offlineSince = up ? null : (offlineSince ?? new Date());
  document.body.classList.toggle('stale', !up);
  const element = document.getElementById('connection');
  if (!element) return;
  element.hidden = up;
  element.textContent = offlineSince ? t('offline', { time: offlineSince.toLocaleTimeString() }) : '';
}

/** Shows an error or a notice at the top of the page; hides it for an empty text.
 * @param {string} text
 */
export function notice(text) {
  const element = document.getElementById('notice');
  if (!element) return;
  element.textContent = text;
  element.hidden = !text;
}
