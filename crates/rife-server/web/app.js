// @ts-check
// Entry point of the page: tabs, settings, login, drag and drop, list of jobs.

import { ApiError, call } from './api.js';
import { connection, el, notice, translate } from './dom.js';
import { Frames } from './frames.js';
import { CLIPS } from './files.js';
import { Jobs } from './jobs.js';
import * as options from './options.js';
import { deviceNames } from './setup.js';
import { LANGUAGES, language, t } from './text.js';
import { Work } from './work.js';

const TABS = ['frames', 'images', 'chain', 'video', 'reencode'];

/** @type {Record<string, any>} */
const panels = {};

/** Shows the panel of a tab. @param {string} key @param {boolean} [focus] whether to focus the tab */
function open(key, focus) {
  for (const [name, panel] of Object.entries(panels)) {
    const tab = document.getElementById(`tab-${name}`);
    const chosen = name === key;
    panel.element.hidden = !chosen;
    tab?.setAttribute('aria-selected', String(chosen));
    if (tab) tab.tabIndex = chosen ? 0 : -1;
    if (chosen && focus) tab?.focus();
    if (chosen) tab?.scrollIntoView?.({ block: 'nearest', inline: 'nearest' });
  }
  if (location.hash !== `#${key}`) history.replaceState(null, '', `#${key}`);
}

/** Creates the tabs by the ARIA tab pattern: arrow keys, Home and End move between them. */
function tabs() {
  const list = /** @type {HTMLElement} */ (document.getElementById('tabs'));
  list.append(...TABS.map((key) => el('button', {
    role: 'tab', type: 'button', id: `tab-${key}`, 'aria-controls': `panel-${key}`, onclick: () => open(key),
  }, t(`tab_${key}`))));
  list.addEventListener('keydown', (event) => {
    const at = TABS.findIndex((key) => `tab-${key}` === document.activeElement?.id);
    /** @type {Record<string, number>} */
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1 + TABS.length, Home: 0, End: TABS.length - 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    open(TABS[moves[event.key] % TABS.length], true);
  });
}

/** Initialises the selection of theme and language. */
function settings() {
  const root = document.documentElement;
  root.lang = LANGUAGES[language()][0];
  const theme = /** @type {HTMLSelectElement} */ (document.getElementById('theme'));
  theme.value = root.dataset.theme = localStorage.getItem('theme') ?? 'auto';
  theme.addEventListener('change', () => {
    localStorage.setItem('theme', theme.value);
    root.dataset.theme = theme.value;
  });
  const select = /** @type {HTMLSelectElement} */ (document.getElementById('language'));
  select.append(...Object.entries(LANGUAGES).map(([code, [tag, name]]) => el('option', { value: code, lang: tag }, name)));
  select.value = language();
  select.addEventListener('change', () => {
    localStorage.setItem('language', select.value);
    // Inputs and options are kept in sessionStorage.
    location.reload();
  });
}

/** Creates the panels of all tabs. */
function build() {
  panels.frames = new Frames((inputs) => {
    panels.images.inputs.clear();
    for (const input of inputs) panels.images.inputs.add(input);
    open('images', true);
  });
  panels.images = new Work('images', { kind: 'images', min: 2, takes: 'pictures', accept: 'image/*,.exr', drop: 'drop_images', fields: options.images() });
  panels.chain = new Work('chain', { kind: 'chain', min: 2, takes: 'clips', accept: CLIPS, drop: 'drop_clips', fields: options.chain() });
  panels.video = new Work('video', { kind: 'video', min: 1, each: true, takes: 'clips', accept: CLIPS, drop: 'drop_clips', fields: options.video() });
  panels.reencode = new Work('reencode', { kind: 'reencode', min: 1, takes: 'clips', accept: CLIPS, drop: 'drop_one', fields: options.reencode() });
  document.getElementById('main')?.append(...TABS.map((key) => panels[key].element));
}

/** Loads models and limits of the server into the forms, retrying until it answers. @returns {Promise<void>} */
async function loadServerInfo() {
  const [models, health] = await Promise.all([call('GET', '/models'), call('GET', '/health')]).catch(async (error) => {
    if (error instanceof ApiError) throw error;
    await new Promise((resolve) => setTimeout(resolve, 3000));
    return [];
  });
  if (!models) return loadServerInfo();
  const forms = Object.values(panels).map(({ form }) => form).filter(Boolean);
  for (const form of forms.filter(({ controls }) => controls.has('model'))) {
    const { input, box } = form.controls.get('model');
    form.choices('device', models.devices.map((/** @type {any} */ item) => [item.name, `${item.name} (${t(`device_${item.name}`, {}, item.description)})`]));
    form.choices('precision', models.precisions.map((/** @type {string} */ name) => [name, name]));
    input.addEventListener('change', () => fitModel(form));
    box.append(el('button', { className: 'plain', type: 'button', onclick: manageModels }, t('models_manage')));
  }
  for (const form of forms) linkCodecs(form, models.containers);
  showModels(models);
  const system = document.getElementById('system');
  const leave = document.getElementById('leave');
  if (leave) {
    leave.hidden = health.auth === 'none';
    leave.addEventListener('click', () => call('DELETE', '/session').then(() => location.reload(), (error) => notice(error.message)));
  }
  if (system) system.textContent = t('system', { version: health.version, devices: deviceNames(models.devices) });
  const button = document.getElementById('models');
  button?.addEventListener('click', manageModels);
  if (button) button.hidden = false;
}

/** Opens the dialog of models, which is loaded for that. */
function manageModels() {
  import('./models.js').then(({ openModels }) => openModels(reloadModels)).catch((error) => notice(error.message));
}

/** Models that can be used. @type {any[]} */
let usable = [];

/** Shows the models of the server in the forms. @param {{items: any[]}} models */
function showModels({ items }) {
  usable = items;
  const label = (/** @type {any} */ { name, version }) => `${name === 'default' ? t('o_model_default') : name} (${version})`;
  for (const { form } of Object.values(panels)) {
    if (!form?.controls.has('model')) continue;
    form.choices('model', items.map((item) => [item.name, label(item)]));
    fitModel(form);
  }
}

/** Loads the models again. */
async function reloadModels() {
  showModels(await call('GET', '/models'));
}

/** Enables the options that the chosen model has. @param {import('./form.js').Form} form */
function fitModel(form) {
  const chosen = usable.find(({ name }) => name === form.values.model);
  form.enable('ensemble', chosen?.ensemble ?? false);
  form.enable('tta', chosen?.tta ?? true);
}

/** Keeps the list of codecs to those that the chosen file type supports; only the default if the type is the source's. @param {import('./form.js').Form} form @param {Record<string, string[]>} held */
function linkCodecs(form, held) {
  const type = form.controls.get('ext')?.input;
  if (!type) return;
  const fit = () => {
    form.choices('codec', [['', t('o_codec_usual')], ...(held[type.value] ?? []).map((name) => /** @type {[string, string]} */ ([name, name]))]);
    form.changes();
  };
  // In the capture phase, before the form reports the change.
  type.addEventListener('change', fit, { capture: true });
  fit();
}

/** Adds files that are dropped anywhere on the page, or pasted, to the inputs of the open tab. */
function setUpDropAndPaste() {
  const inputs = () => Object.values(panels).find((panel) => !panel.element.hidden)?.inputs;
  const files = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files') ?? false;
  const over = (/** @type {boolean} */ on) => document.body.classList.toggle('over', on);
  addEventListener('dragover', (event) => {
    if (!files(event)) return;
    event.preventDefault();
    over(true);
  });
  addEventListener('dragleave', (event) => event.relatedTarget === null && over(false));
  addEventListener('drop', (event) => {
    if (!files(event)) return;
    // Otherwise the browser would open the file instead of the page.
    event.preventDefault();
    over(false);
    if (event.dataTransfer) inputs()?.receive(event.dataTransfer);
  });
  addEventListener('paste', (event) => event.clipboardData?.files.length && inputs()?.receive(event.clipboardData));
  addEventListener('beforeunload', (event) => Object.values(panels).some(({ inputs: { waiting } }) => waiting) && event.preventDefault());
}

/** Shows the login form until the token is right. */
function askForToken() {
  const input = el('input', { type: 'password', id: 'token', autocomplete: 'current-password' });
  const wrong = el('p', { className: 'wrong', role: 'alert' });
  const form = el('form', { className: 'card gate' }, el('p', {}, t('token')), el('label', { for: 'token' }, t('token_label')), input, wrong, el('button', {}, t('enter')));
  form.addEventListener('submit', async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      await call('POST', '/session', { token: input.value });
      location.reload();
    } catch (error) {
      wrong.textContent = /** @type {Error} */ (error).message;
    }
  });
  document.getElementById('main')?.replaceChildren(form);
  input.focus();
}

/** Opens the inputs and options of a job in its tab. @param {any} job */
async function change(job) {
  const panel = panels[job.kind];
  const inputs = [];
  for (const { name, bytes, upload, job: from } of job.inputs) {
    const file = from && (await call('GET', `/jobs/${from}`)).files.find((/** @type {any} */ one) => one.label === name);
    inputs.push({ ref: upload ? { upload } : { job: from, file: file?.name ?? '' }, name, size: bytes });
  }
  const had = panel.inputs.items.map((/** @type {any} */ item) => JSON.stringify(item.ref)).join();
  if (had !== inputs.map(({ ref }) => JSON.stringify(ref)).join()) {
    // The uploads are still needed.
    panel.inputs.items = [];
    for (const input of inputs) panel.inputs.add(input);
  }
  panel.form.restore(job.options ?? {});
  open(job.kind, true);
  panel.form.reveal(Object.keys(job.options ?? {}));
}

/** Starts the page: settings, login if required, tabs, jobs. */
async function begin() {
  settings();
  translate();
  try {
    await call('GET', '/jobs?limit=1');
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return askForToken();
    connection(false);
  }
  tabs();
  build();
  setUpDropAndPaste();
  open(TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : 'video');
  addEventListener('hashchange', () => TABS.includes(location.hash.slice(1)) && open(location.hash.slice(1)));
  const use = (/** @type {string} */ tab, /** @type {import('./inputs.js').Input} */ input) => {
    panels[tab]?.inputs.add(input);
    open(tab, true);
  };
  const jobs = new Jobs(use, (job) => change(job).catch((error) => notice(error.message)));
  await Promise.all([loadServerInfo(), jobs.begin()]).catch((error) => notice(error.message));
}

begin();
