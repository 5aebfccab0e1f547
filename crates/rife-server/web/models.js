// @ts-check
// Models of the server: those that can be used, public ones to download, and weights files of the user.

import { call, deleteUpload, send } from './api.js';
import { el, say } from './dom.js';
import { bytes, t } from './text.js';

/** File types of weights. */
const TYPES = '.pkl,.pth,.safetensors,.param,.bin';

/** Opens the dialog. @param {() => Promise<void>} changed called when the models have changed */
export async function openModels(changed) {
  const found = await call('GET', '/models');
  const status = el('p', { className: 'hint', role: 'status' });
  const body = el('div', { className: 'stack' });
  const file = el('input', { type: 'file', multiple: true, accept: TYPES, id: 'model-file', onchange: () => add([...file.files]) });
  const dialog = el('dialog', { 'aria-label': t('models') }, el('h2', {}, t('models')), body,
    found.fixed ? el('p', { className: 'hint' }, t('models_fixed'))
      : el('div', { className: 'field' }, el('label', { for: 'model-file' }, t('model_file')), file, el('span', { className: 'hint' }, t('model_file_hint'))), status,
    el('div', { className: 'row' }, el('button', { className: 'plain', type: 'button', onclick: () => dialog.close() }, t('close'))));

  /** Runs a change, and shows the models again. @param {string} text @param {() => Promise<string>} work */
  const change = async (text, work) => {
    status.className = 'hint';
    status.textContent = text;
    for (const button of dialog.querySelectorAll('button, input')) button.disabled = true;
    try {
      const done = await work();
      show(await call('GET', '/models'));
      await changed();
      status.textContent = done;
    } catch (error) {
      status.className = 'wrong';
      status.textContent = /** @type {Error} */ (error).message;
    }
    for (const button of dialog.querySelectorAll('button, input')) button.disabled = false;
    dialog.focus();
  };

  /** Uploads weights files and makes them a model. @param {File[]} files */
  const add = (files) => change(t('model_adding'), async () => {
    const uploads = [];
    try {
      for (const one of files) {
        const upload = await call('POST', '/uploads', { name: one.name, size: one.size });
        uploads.push(upload.id);
        await send(one, upload, () => {}, new AbortController().signal);
      }
      const { name, version } = await call('POST', '/models', { uploads });
      return t('model_added', { name, version });
    } finally {
      file.value = '';
      for (const id of uploads) deleteUpload(id);
    }
  });

  const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ click) =>
    el('button', { className: 'plain', type: 'button', 'aria-label': label, title: label, onclick: click }, text);
  const table = (/** @type {string[]} */ heads, /** @type {Node[]} */ rows, /** @type {string} */ label) => el('div', { className: 'wide', tabIndex: 0, role: 'region', 'aria-label': label },
    el('table', {}, el('thead', {}, el('tr', {}, ...heads.map((head) => (head ? el('th', { scope: 'col' }, head) : el('td'))))), el('tbody', {}, ...rows)));

  const show = (/** @type {any} */ { items, available }) => {
    const usual = items.find((/** @type {any} */ { name }) => name === 'default')?.macs_per_pixel;
    const cost = (/** @type {any} */ { macs_per_pixel: macs }) => (usual ? `${(macs / usual).toFixed(1)}×` : '');
    const here = items.map((/** @type {any} */ one) => el('tr', {}, el('td', {}, one.name), el('td', {}, one.version), el('td', {}, t(`origin_${one.origin.replace(' ', '_')}`)), el('td', {}, cost(one)),
      el('td', {}, one.origin !== 'built in' && !found.fixed && button('✕', t('model_remove_of', { name: one.name }), () => change('', async () => {
        await call('DELETE', `/models/${encodeURIComponent(one.name)}`);
        return t('deleted', { name: one.name });
      })))));
    const there = available.map((/** @type {any} */ one) => el('tr', {}, el('td', {}, el('a', { href: one.url, rel: 'noreferrer' }, one.name)), el('td', {}, one.license), el('td', {}, bytes(one.bytes)), el('td', {}, cost(one)),
      el('td', {}, button(t('model_get'), t('model_get_of', { name: one.name }), () => change(t('model_getting', { name: one.name }), async () => {
        const { name, version } = await call('PUT', `/models/${encodeURIComponent(one.name)}`);
        return t('model_added', { name, version });
      })))));
    body.replaceChildren(table([t('o_model'), t('model_version'), t('model_origin'), t('model_cost'), ''], here, t('models')),
      found.fixed ? '' : el('details', {}, el('summary', {}, t('models_public')), el('p', { className: 'hint' }, t('models_public_hint')),
        table([t('o_model'), t('model_license'), t('plan_size'), t('model_cost'), ''], there, t('models_public'))));
  };
  show(found);
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.showModal();
  say(t('models'));
}
