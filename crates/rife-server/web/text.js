// @ts-check
// Texts of the page in the chosen language, from lang/: to add a language add a file there and a line to LANGUAGES.

/** Languages by their codes: tag for `lang`, and own name. @type {Record<string, [string, string]>} */
export const LANGUAGES = {
  en: ['en', 'English'],
  de: ['de', 'Deutsch'],
  es: ['es', 'Español'],
  fr: ['fr', 'Français'],
  ja: ['ja', '日本語'],
  zh: ['zh-Hans', '中文'],
};

/** Returns the code of the current language: the chosen one, else the browser's. */
export function language() {
  const chosen = localStorage.getItem('language') ?? navigator.language.slice(0, 2);
  return chosen in LANGUAGES ? chosen : 'en';
}

/** Texts of the current language, and sentences of the server, which are English. @type {{TEXTS: Record<string, string>, REASONS?: Record<string, string>}} */
const words = await import(`./lang/${language()}.js`);

/** Returns a text in the current language, with `{name}` replaced, and `{name|form|form}` by the form for one or for several.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @param {string} [other] fallback if the table has no such key
 */
export function t(key, values = {}, other = key) {
  const text = words.TEXTS[key];
  return text === undefined ? other : fill(text, values);
}

/** Category of a count in the current language: `one`, or others. */
const plurals = new Intl.PluralRules(LANGUAGES[language()][0]);

/** @param {string} text @param {Record<string, any>} values */
const fill = (text, values) => text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name, one, many) =>
  one === undefined ? String(values[name] ?? '') : plurals.select(Number(values[name])) === 'one' ? one : many);

/** Translates a note of a plan or the reason of an error; returns the English message if the table does not have it.
 * @param {{code?: string, params?: Record<string, any>, message?: string}} note
 * @returns {string}
 */
export function noteText({ code = '', params = {}, message = '' }) {
  const text = words.REASONS?.[code];
  if (!text) return message;
  // The parameter `what` begins with the kind of a stream.
  const values = Object.entries(params).map(([name, value]) => [name, Array.isArray(value) ? value.map(noteText).join('; ') : value?.code ? noteText(value) : name === 'what' ? kinds(String(value)) : value]);
  return fill(text, Object.fromEntries(values));
}

/** Translates the kind of a stream. @param {string} text such as `audio aac (eng)` */
function kinds(text) {
  return text.replace(/^(video|audio|subtitle|attachment|data|cover art)\b/, (kind) => t(`stream_${kind.replace(' ', '_')}`));
}

/** Returns the text of an API error in the current language.
 * @param {{code?: string, message?: string, reason?: string, params?: Record<string, any>}} error
 */
export function errorText({ code, message = '', reason, params }) {
  if (language() === 'en') return message;
  const kind = t(`error_${code}`, {}, '');
  return `${kind} ${reason ? noteText({ code: reason, params, message }) : message}`.trim();
}

/** Formats a duration. @param {number} seconds */
export function duration(seconds) {
  const whole = Math.round(seconds);
  if (seconds < 1) return t('seconds', { n: Math.round(seconds * 100) / 100 });
  if (seconds < 10) return t('seconds', { n: Math.round(seconds * 10) / 10 });
  if (whole < 60) return t('seconds', { n: whole });
  if (whole < 3600) return t('minutes', { m: Math.floor(whole / 60), s: whole % 60 });
  return t('hours', { h: Math.floor(whole / 3600), m: Math.round((whole % 3600) / 60) });
}

/** Formats a number of bytes. @param {number} count */
export function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(count, 1)) / 3));
  const value = count / 1000 ** step;
  return `${value >= 100 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}
