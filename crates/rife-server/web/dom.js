// @ts-check
// Making elements. Texts are set as text, never as markup: what a file is called cannot become part of the page.

import { t } from './text.js';

/**
 * An element with properties, attributes (those with a dash, and `role`) and children.
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

/** Fills the texts of what the page was served with. */
export function translate() {
  for (const element of document.querySelectorAll('[data-text]')) {
    element.textContent = t(/** @type {HTMLElement} */ (element).dataset.text ?? '');
  }
}

/**
 * Tells people who listen to the page.
 * @param {string} text
 */
export function say(text) {
  const said = document.getElementById('said');
  if (said) said.textContent = text;
}

/** When the server was last heard of, while it is not. @type {Date | null} */
let silent = null;

/**
 * Whether the server is reached. While it is not, what the page says of jobs is old, and looks so.
 * @param {boolean} up
 */
export function connection(up) {
  silent = up ? null : (silent ?? new Date());
  document.body.classList.toggle('stale', !up);
  const element = document.getElementById('connection');
  if (!element) return;
  element.hidden = up;
  element.textContent = silent ? t('offline', { time: silent.toLocaleTimeString() }) : '';
}

/**
 * Shows what went wrong, or nothing.
 * @param {string} text
 */
export function notice(text) {
  const element = document.getElementById('notice');
  if (!element) return;
  element.textContent = text;
  element.hidden = !text;
}
