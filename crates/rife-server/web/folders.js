// @ts-check
// Files of the server: a dialog with the folders that the operator allows, from which inputs are taken without an upload.

import { call } from './api.js';
import { el, notice } from './dom.js';
import { bytes, t } from './text.js';

/** @typedef {{index: number, name: string}} Root allowed folder */

/** Opens the dialog.
 * @param {Root[]} items @param {boolean} many whether several files can be taken @param {(input: import('./inputs.js').Input) => void} add
 */
export async function browse(items, many, add) {
  const where = el('p', { className: 'hint', role: 'status' });
  const list = el('ul', { className: 'entries' });
  const take = el('button', { type: 'button', disabled: true });
  const dialog = el('dialog', { 'aria-label': t('server_files') }, el('h2', {}, t('server_files')), where, list,
    el('div', { className: 'row' }, take, el('button', { className: 'plain', type: 'button', onclick: () => dialog.close() }, t('close'))));
  /** Folder that is shown: index of the allowed one, and path in it. @type {{index: number, path: string[]} | null} */
  let here = null;
  const chosen = () => [...list.querySelectorAll('input:checked')].map((one) => one.value);
  const count = () => {
    take.disabled = chosen().length === 0;
    take.textContent = t('server_add', { count: chosen().length });
  };
  const folder = (/** @type {string} */ name, /** @type {() => void} */ open) => el('li', {}, el('button', { className: 'plain', type: 'button', onclick: open }, `📁 ${name}`));
  const file = (/** @type {{name: string, bytes: number}} */ { name, bytes: size }) => el('li', {}, el('label', { className: 'tick' },
    el('input', { type: many ? 'checkbox' : 'radio', name: 'server-file', value: name, onchange: count }), el('span', {}, name), el('span', { className: 'hint' }, bytes(size))));
  const show = async () => {
    if (!here) {
      where.textContent = '';
      list.replaceChildren(...items.map(({ index, name }) => folder(name, () => go({ index, path: [] }))));
      return count();
    }
    const { index, path } = here;
    const found = await call('GET', `/folders/${index}?path=${encodeURIComponent(path.join('/'))}`).catch((error) => notice(error.message));
    if (!found) return;
    where.textContent = [items.find((one) => one.index === index)?.name, ...path].join(' / ');
    list.replaceChildren(folder('..', () => go(path.length > 0 ? { index, path: path.slice(0, -1) } : null)),
      ...found.folders.map((/** @type {string} */ name) => folder(name, () => go({ index, path: [...path, name] }))), ...found.files.map(file));
    if (found.folders.length + found.files.length === 0) list.append(el('li', { className: 'hint' }, t('server_empty')));
    count();
    list.querySelector('button, input')?.focus();
  };
  const go = (/** @type {typeof here} */ to) => {
    here = to;
    return show();
  };
  take.addEventListener('click', async () => {
    if (!here) return;
    const { index, path } = here;
    for (const name of chosen()) {
      try {
        const upload = await call('POST', `/folders/${index}`, { path: [...path, name].join('/') });
        add({ ref: { upload: upload.id }, name: upload.name, size: upload.size });
      } catch (error) {
        notice(`${name}: ${/** @type {Error} */ (error).message}`);
      }
    }
    dialog.close();
  });
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  await go(items.length === 1 ? { index: items[0].index, path: [] } : null);
}
