// @ts-check
// List of jobs: loaded from the server and updated by its events.

import { call, listen, url } from './api.js';
import { colours } from './colours.js';
import { connection, el, notice, say } from './dom.js';
import { framesButton } from './sharp.js';
import { describeOptions, differences, otherSettings } from './options.js';
import { qualitySummary } from './report.js';
import { QueueBar, previews } from './queuebar.js';
import { rememberSize } from './sizes.js';
import { checked, results } from './results.js';
import { setup } from './setup.js';
import { bytes, duration, language, noteText, t, errorText } from './text.js';

const ENDED = ['done', 'failed', 'cancelled'];
/** Milliseconds between two previews of one job. */
const PREVIEW = 800;
/** Milliseconds in which a deletion can be undone, and between looks whether its button is still in use. */
const [UNDO, LOOK] = [30_000, 1000];
/** Maximum number of jobs in one archive. */
const ARCHIVE = 200;
/** Type of the data of a dragged job. */
const DRAGGED = 'application/x-rife-job';

/** List of jobs. */
export class Jobs {
  /** @param {(tab: string, input: import('./inputs.js').Input) => void} use @param {(job: any) => void} change opens a job's inputs and options in its tab */
  constructor(use, change) {
    this.use = use;
    this.change = change;
    this.bar = new QueueBar(() => {
      for (const [id, { job }] of this.known) if (job.state === 'running') this.redraw(id);
    });
    /** Job that was started here, whose card is brought into view. */
    this.wanted = '';
    document.addEventListener('preview', (event) => this.redraw(/** @type {CustomEvent} */ (event).detail));
    document.addEventListener('started', (event) => {
      this.wanted = /** @type {CustomEvent} */ (event).detail;
      this.reveal();
    });
    document.getElementById('jobs')?.before(this.bar.element, this.tools(), this.undoAll, this.none);
    this.list = /** @type {HTMLElement} */ (document.getElementById('jobs'));
    this.more = /** @type {HTMLButtonElement} */ (document.getElementById('more'));
    this.more.addEventListener('click', () => this.loadOlder());
    this.used = el('meter', { min: 0, max: 1, 'aria-label': t('plan_disk') });
    this.disk = el('span', { className: 'hint' });
    this.more.after(el('div', { className: 'disk' }, this.used, this.disk));
    /** Jobs with their cards; `age` is lower for older ones. @type {Map<string, {job: any, card: HTMLElement, shown: number, age: number}>} */
    this.known = new Map();
    this.ages = { newest: 0, oldest: 0 };
    /** Ids of the jobs whose card shows all buttons. @type {Set<string>} */
    this.opened = new Set();
    /** Whether a card is folded, by job, where the user has chosen it. @type {Map<string, boolean>} */
    this.folds = new Map();
    /** The job that was done last, whose card is not folded by itself. */
    this.latest = { id: '', at: '' };
    /** @type {string | null} */
    this.cursor = null;
    this.up = true;
    /** What the server said of itself at first. @type {any} */
    this.health = null;
    /** Line on the used space; empty until it is known. */
    this.space = '';
    /** Jobs whose deletions are undone together. @type {Set<string>} */
    this.cleared = new Set();
    /** Deletions that can still be undone. @type {Map<string, number>} */
    this.deletions = new Map();
    // Leaving the page carries out the deletions.
    addEventListener('pagehide', () => {
      for (const id of this.deletions.keys()) fetch(url(`/jobs/${id}`), { method: 'DELETE', keepalive: true });
    });
  }

  /** Creates the filters and the actions on all jobs. */
  tools() {
    this.filter = el('select', { 'aria-label': t('filter'), onchange: () => this.showFiltered() },
      ...['all', 'active', 'done', 'failed'].map((value) => el('option', { value }, t(`filter_${value}`))));
    this.search = el('input', { type: 'search', placeholder: t('search'), 'aria-label': t('search'), oninput: () => this.showFiltered() });
    this.all = el('button', { className: 'plain', type: 'button', onclick: () => this.downloadAll() }, t('download_all'));
    this.clear = el('button', { className: 'plain', type: 'button', onclick: () => this.clearFinished() }, t('clear'));
    const bell = el('input', { type: 'checkbox', checked: localStorage.getItem('notify') === 'yes', onchange: () => this.ring(bell) });
    this.undoText = el('p', { className: 'hint grow', role: 'status' });
    this.undoAll = el('div', { className: 'row job', hidden: true }, this.undoText, el('button', { className: 'plain', type: 'button', onclick: () => this.restoreCleared() }, t('undo_all')));
    this.none = el('p', { className: 'hint', role: 'status', hidden: true }, t('no_match'));
    this.toolbar = el('div', { className: 'jobtools', hidden: true }, this.filter, this.search, this.all, this.clear,
      'Notification' in window && el('label', { className: 'tick' }, bell, t('notify')));
    return this.toolbar;
  }

  /** Cards that are shown, with their jobs. */
  get visible() {
    return [...this.known.values()].filter(({ card }) => !card.hidden);
  }

  /** Jobs that are shown and have results, without previews. */
  get downloads() {
    return this.visible.map(({ job }) => job).filter((job) => job.state === 'done' && job.files.length > 0 && !previews.has(job.id) && !this.deletions.has(job.id));
  }

  /** Hides the cards that the filters exclude. */
  showFiltered() {
    for (const { job, card } of this.known.values()) card.hidden = !this.passes(job) || this.cleared.has(job.id);
    this.all.disabled = this.downloads.length === 0;
    this.undoAll.hidden = this.cleared.size === 0;
    this.undoText.textContent = t('deleted_many', { count: this.cleared.size });
    this.clear.disabled = !this.visible.some(({ job }) => ENDED.includes(job.state) && !this.deletions.has(job.id));
    this.none.hidden = this.known.size === 0 || this.visible.length > 0;
    this.showFreed();
  }

  /** Reports whether a job passes the filters. @param {any} job */
  passes(job) {
    const words = this.search.value.trim().toLowerCase();
    const names = [job.label, ...job.files.map((/** @type {any} */ file) => file.label)].join(' ').toLowerCase();
    /** @type {Record<string, string[]>} */
    const states = { active: ['queued', 'running'], done: ['done'], failed: ['failed', 'cancelled'] };
    return names.includes(words) && (states[this.filter.value]?.includes(job.state) ?? true);
  }

  /** Downloads all results that are shown: a single one as it is, several as a ZIP archive. */
  async downloadAll() {
    const jobs = this.downloads;
    const [first] = jobs;
    if (jobs.length === 1 && first.files.length === 1) {
      el('a', { href: url(`/jobs/${first.id}/files/${encodeURIComponent(first.files[0].name)}?download=1`), download: first.files[0].label }).click();
      return;
    }
    for (let from = 0; from < jobs.length; from += ARCHIVE) {
      const ids = jobs.slice(from, from + ARCHIVE).map(({ id }) => id);
      el('a', { href: url(`/files.zip?jobs=${ids.join(',')}`), download: 'rife.zip' }).click();
      // Browsers drop downloads that start at the same moment.
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  /** Moves a queued job before another one. @param {string} id @param {number} to index in the queue */
  async moveInQueue(id, to) {
    const ids = this.queued.map(({ job }) => job.id);
    const from = ids.indexOf(id);
    if (from < 0 || to < 0 || to >= ids.length || from === to) return;
    ids.splice(to, 0, ...ids.splice(from, 1));
    await call('PUT', '/queue', { jobs: ids }).then(({ jobs }) => this.updateQueue(jobs), (error) => notice(error.message));
    say(t('moved', { name: this.known.get(id)?.job.label ?? '', n: to + 1 }));
  }

  /** Queued jobs in their order. */
  get queued() {
    const queued = [...this.known.values()].filter(({ job }) => job.state === 'queued');
    return queued.toSorted((a, b) => (a.job.position ?? Infinity) - (b.job.position ?? Infinity));
  }

  /** Sorts the cards: running jobs, the queue in its order, then ended jobs, the newest first. */
  sort() {
    const rank = (/** @type {{job: any}} */ { job }) => (this.deletions.has(job.id) ? 2 : ['running', 'queued'].indexOf(job.state) + 3) % 3;
    const place = (/** @type {{job: any, age: number}} */ { job, age }) => (job.state === 'queued' ? (job.position ?? Infinity) : -age);
    const cards = [...this.known.values()].toSorted((a, b) => rank(a) - rank(b) || place(a) - place(b)).map(({ card }) => card);
    const held = /** @type {HTMLElement | null} */ (document.activeElement);
    cards.forEach((card, index) => { if (this.list.children[index] !== card) this.list.insertBefore(card, this.list.children[index] ?? null); });
    // Moving a card takes the focus from it.
    if (held && held !== document.activeElement && this.list.contains(held)) held.focus();
  }

  /** Deletes all shown jobs that have ended; several are undone together. */
  clearFinished() {
    const ended = this.visible.map(({ job }) => job).filter(({ id, state }) => ENDED.includes(state) && !this.deletions.has(id));
    if (ended.length > 1) for (const { id } of ended) this.cleared.add(id);
    for (const { id } of ended) this.scheduleDeletion(id);
    if (ended.length > 1) say(t('deleted_many', { count: ended.length }));
  }

  /** Cancels the deletions of "Clear finished". */
  restoreCleared() {
    for (const id of this.cleared) this.undoDeletion(id);
    this.clear.focus();
  }

  /** Turns the notification at the end of the queue on or off. @param {HTMLInputElement} bell */
  async ring(bell) {
    if (bell.checked && (await Notification.requestPermission()) !== 'granted') {
      bell.checked = false;
      notice(t('notify_refused'));
    }
    localStorage.setItem('notify', bell.checked ? 'yes' : 'no');
  }

  /** Shows the progress of the running job in the page's title. */
  showTitle() {
    const jobs = [...this.known.values()].map(({ job }) => job);
    const { done, total } = jobs.find(({ state }) => state === 'running')?.progress ?? {};
    this.bar.show(jobs);
    document.title = total ? `${Math.floor((100 * done) / total)} % · rife` : 'rife';
  }

  /** Notifies the user when the last job has ended. @param {any} job the job that has ended */
  notifyEmpty(job) {
    const busy = [...this.known.values()].some((known) => !ENDED.includes(known.job.state));
    if (busy || localStorage.getItem('notify') !== 'yes' || !('Notification' in window) || Notification.permission !== 'granted') return;
    const shown = new Notification('rife', { body: job.state === 'failed' ? t('failed', { name: job.label, text: '' }) : t('queue_empty'), tag: 'rife' });
    shown.addEventListener('click', () => window.focus());
  }

  /** Shows the space that is used, and what finished jobs take of it. */
  async showDisk() {
    const health = await call('GET', '/health').catch(() => null);
    if (!health?.quota) return;
    if (!this.health) {
      this.health = health;
      this.list.querySelector('.empty')?.append(setup(health));
      if (!health.ffmpeg) notice(t('error_no_ffmpeg'));
    }
    this.used.value = health.used / health.quota;
    this.space = t('disk', { used: bytes(health.used), quota: bytes(health.quota), free: bytes(health.free) });
    this.showFreed();
  }

  /** Shows what "Clear finished" would free. */
  showFreed() {
    if (!this.space) return;
    const freed = this.visible.map(({ job }) => job).filter(({ id, state }) => ENDED.includes(state) && !this.deletions.has(id)).reduce((sum, job) => sum + sizeOf(job), 0);
    this.disk.textContent = [this.space, freed > 0 ? t('disk_freed', { bytes: bytes(freed) }) : ''].filter(Boolean).join(' · ');
  }

  /** Loads the newest jobs and subscribes to events. */
  async begin() {
    await Promise.all([this.loadOlder().catch(() => {}), this.bar.load()]);
    // What changes before the connection is open is loaded then.
    this.up = false;
    listen((type, data) => this.onEvent(type, data), (up) => this.onConnection(up));
    this.showDisk();
  }

  /** Loads the next page of older jobs. */
  async loadOlder() {
    const page = await call('GET', `/jobs?limit=20${this.cursor ? `&cursor=${encodeURIComponent(this.cursor)}` : ''}`);
    for (const job of page.items) this.upsert(job, true);
    this.cursor = page.next;
    this.more.hidden = !page.next;
    this.redrawFolded();
    document.dispatchEvent(new CustomEvent('jobs'));
    this.updateEmpty();
  }

  /** Reloads the newest jobs when the server can be reached again. @param {boolean} up */
  async onConnection(up) {
    connection(up);
    if (up === this.up) return;
    this.up = up;
    if (!up) return;
    this.bar.load();
    // Jobs may have ended or been deleted meanwhile.
    const page = await call('GET', '/jobs?limit=50').catch(() => null);
    if (!page) return;
    for (const job of page.items.toReversed()) this.upsert(job, false);
    const listed = new Set(page.items.map((/** @type {any} */ job) => job.id));
    const oldest = page.next ? page.items.at(-1).created_at : '';
    for (const [id, { job }] of this.known) if (!listed.has(id) && job.created_at >= oldest) this.removeCard(id);
  }

  /** Removes the card of a deleted job. @param {string} id */
  removeCard(id) {
    const known = this.known.get(id);
    if (!known) return;
    clearTimeout(this.deletions.get(id));
    this.deletions.delete(id);
    this.cleared.delete(id);
    const held = known.card.contains(document.activeElement);
    known.card.remove();
    this.known.delete(id);
    // The focused button was removed.
    if (held) document.getElementById('jobs-title')?.focus();
    this.updateEmpty();
  }

  /** Replaces a card by an undo button, and deletes the job after a time, unless the button is in use then.
   * @param {string} id @param {number} [after] milliseconds
   */
  scheduleDeletion(id, after = UNDO) {
    const again = this.deletions.has(id);
    this.deletions.set(id, setTimeout(async () => {
      const button = this.cleared.has(id) ? this.undoAll : this.known.get(id)?.card;
      if (button?.matches(':hover, :focus-within')) return this.scheduleDeletion(id, LOOK);
      this.deletions.delete(id);
      await call('DELETE', `/jobs/${id}`).catch((error) => {
        notice(error.message);
        this.undoDeletion(id);
      });
    }, after));
    if (!again) this.redraw(id);
  }

  /** Cancels a scheduled deletion. @param {string} id */
  undoDeletion(id) {
    clearTimeout(this.deletions.get(id));
    this.deletions.delete(id);
    this.cleared.delete(id);
    this.redraw(id);
  }

  /** Redraws the cards that are one line: what differs between jobs of a clip depends on all of them. */
  redrawFolded() {
    for (const [id, { job }] of this.known) if (this.folded(job)) this.redraw(id);
  }

  /** Redraws the card of a job. @param {string} id */
  redraw(id) {
    const known = this.known.get(id);
    if (known) this.upsert(known.job, false);
  }

  /** Updates the positions of queued jobs. @param {string[]} ids of the queued jobs in order */
  updateQueue(ids) {
    const queued = [...this.known].filter(([, { job }]) => job.state === 'queued');
    for (const [id, { job }] of queued) {
      const at = ids.indexOf(id);
      job.position = at < 0 ? null : at + 1;
    }
    for (const [id] of queued) this.redraw(id);
  }

  /** Handles an event of the server. @param {string} type @param {any} data */
  onEvent(type, data) {
    const known = this.known.get(data.id);
    if (type === 'deleted') {
      this.removeCard(data.id);
      this.showDisk();
      document.dispatchEvent(new CustomEvent('job', { detail: { ...data, state: 'deleted' } }));
    }
    else if (type === 'queue') {
      this.updateQueue(data.jobs);
      this.bar.setPaused(data.paused);
    }
    else if (type === 'progress' && known) {
      known.job.progress = data.progress;
      this.updateProgress(known);
      this.showTitle();
    } else if (type === 'job') {
      const ended = known && !ENDED.includes(known.job.state) && ENDED.includes(data.state);
      this.upsert(data, false);
      document.dispatchEvent(new CustomEvent('job', { detail: data }));
      if (ended) this.notifyEmpty(data);
      if (ended) this.redrawFolded();
      if (ended) this.showDisk();
      if (ended && data.state === 'done') say(t('finished', { name: data.label }));
      if (ended && data.state === 'failed') say(t('failed', { name: data.label, text: data.error ? errorText(data.error) : '' }));
    }
  }

  /** Reports whether the card of a job is one line: of done jobs only the latest one is open by itself. @param {any} job */
  folded({ id, state }) {
    return state === 'done' && (this.folds.get(id) ?? id !== this.latest.id);
  }

  /** Folds or opens the card of a job. @param {string} id @param {boolean} on */
  fold(id, on) {
    this.folds.set(id, on);
    this.redraw(id);
  }

  /** Takes note of a job that is done: the card of the one before is folded, unless it is in use. @param {any} job */
  noteLatest({ id, state, finished_at: at }) {
    if (state !== 'done' || id === this.latest.id || this.latest.at >= at) return;
    const before = this.known.get(this.latest.id);
    this.latest = { id, at };
    if (!before) return;
    if (before.card.matches(':hover') || before.card.contains(document.activeElement)) this.folds.set(before.job.id, false);
    this.redraw(before.job.id);
  }

  /** Adds or replaces the card of a job, keeping the focus. @param {any} job @param {boolean} older whether to append instead of prepend */
  upsert(job, older) {
    rememberSize(job);
    this.noteLatest(job);
    const known = this.known.get(job.id);
    const card = this.card(job);
    const held = known?.card.contains(document.activeElement) ? document.activeElement : null;
    if (known) known.card.replaceWith(card);
    else if (older) this.list.append(card);
    else this.list.prepend(card);
    const age = known?.age ?? (older ? (this.ages.oldest -= 1) : (this.ages.newest += 1));
    const entry = { job, card, shown: known?.shown ?? 0, age };
    this.known.set(job.id, entry);
    this.updateEmpty();
    this.updateProgress(entry);
    // Keeps the focus on the same button of the new card.
    const again = held && (card.querySelector(`[data-act="${held.getAttribute('data-act')}"]`) ?? card.querySelector('button, a, select'));
    if (again) /** @type {HTMLElement} */ (again).focus();
    this.sort();
    if (job.id === this.wanted) this.reveal();
  }

  /** Brings the card of the job that was started last into view, where the jobs have a column of their own. */
  reveal() {
    const card = this.known.get(this.wanted)?.card;
    if (!card) return;
    this.wanted = '';
    const column = /** @type {HTMLElement} */ (this.list.closest('aside'));
    if (getComputedStyle(column).position === 'sticky') column.scrollTop += card.getBoundingClientRect().top - column.getBoundingClientRect().top - 8;
  }

  /** Reports whether a job waits, since the queue is paused; a re-encoding finishes first. @param {any} job */
  waits({ kind, state }) {
    return state === 'running' && this.bar.paused && kind !== 'reencode';
  }

  /** Shows a text while there are no jobs. */
  updateEmpty() {
    const empty = this.list.querySelector('.empty');
    if (this.known.size === 0 && !empty) this.list.append(el('div', { className: 'empty' }, el('p', {}, t('no_jobs')), this.health && setup(this.health)));
    if (this.known.size > 0) empty?.remove();
    this.toolbar.hidden = this.known.size === 0;
    this.showFiltered();
    this.showTitle();
  }

  /** Creates the card of a job. @param {any} job */
  card(job) {
    const { state } = job;
    const word = t(this.waits(job) ? 'queue_paused' : `state_${state}`);
    if (this.deletions.has(job.id)) return this.undoCard(job);
    if (this.folded(job)) return this.foldedCard(job);
    const act = (/** @type {string} */ key, /** @type {string} */ method, /** @type {string} */ path) =>
      el('button', { className: 'plain', type: 'button', 'data-act': key, onclick: async (/** @type {Event} */ event) => {
        const button = /** @type {HTMLButtonElement} */ (event.target);
        button.disabled = true;
        await call(method, path).catch((error) => notice(error.message));
        button.disabled = false;
      } }, t(key));
    const active = !ENDED.includes(state);
    const change = el('button', { className: 'plain', type: 'button', 'data-act': 'change', onclick: () => this.change(job) }, t('change'));
    const remove = !active && el('button', { className: 'plain', type: 'button', 'data-act': 'delete', onclick: () => this.scheduleDeletion(job.id) }, t('delete'));
    const card = el('article', { className: 'job', 'data-id': job.id, 'data-state': state, draggable: state === 'queued', 'aria-label': `${job.label}: ${word}` },
      el('header', {}, el('h3', { className: 'name', title: job.label }, state === 'done' ? this.foldButton(job, job.label, false) : job.label), el('span', { className: 'state' }, word)),
      el('p', { className: 'hint about' }, previews.has(job.id) && el('b', {}, `${t('preview_word')} · `), about(job)),
      chips(describeOptions(job.kind, job.options ?? {})),
      facts(job),
      state !== 'done' && el('div', { className: 'row' },
        ...(state === 'queued' ? this.arrows(job) : []),
        active && act('cancel', 'POST', `/jobs/${job.id}/cancel`),
        ['failed', 'cancelled'].includes(state) && act('retry', 'POST', `/jobs/${job.id}/retry`),
        change, remove),
      state === 'running' && el('progress', { max: 1, 'aria-label': job.label }),
      state === 'running' && el('p', { className: 'hint moving' }),
      state === 'running' && el('img', { className: 'preview', alt: t('preview'), hidden: true }),
      job.error && el('p', { className: 'wrong' }, errorText(job.error)),
      job.summary?.needed === false && el('p', { className: 'yes' }, t('not_needed')),
      job.summary?.warnings?.length > 0 && el('ul', { className: 'notes' }, ...job.summary.warnings.map((/** @type {any} */ note) => el('li', {}, noteText(note)))),
      job.summary?.check && el('p', { className: 'yes small' }, checked(job.summary.check)),
      job.kind === 'report' && state === 'done' && job.summary?.means && qualitySummary(job, this.change),
      ...(state === 'done' ? this.outcome(job, [change, remove]) : []));
    if (state === 'queued') this.drag(card, job);
    return card;
  }

  /** Creates the button with a job's name that folds or opens its card. @param {any} job @param {string} name @param {boolean} folded */
  foldButton({ id }, name, folded) {
    return el('button', { className: 'fold', type: 'button', 'data-act': 'fold', 'aria-expanded': String(!folded), onclick: () => this.fold(id, !folded) },
      el('span', { 'aria-hidden': 'true' }, folded ? '▸' : '▾'), ` ${name}`);
  }

  /** Creates the card of a done job as one line, which a click anywhere opens. @param {any} job */
  foldedCard(job) {
    const clip = job.kind === 'report' ? undefined : job.files.find((/** @type {any} */ file) => file.media_type.startsWith('video/'));
    const name = clip?.label ?? job.label;
    const others = [...this.known.values()].map((one) => one.job);
    const special = [previews.has(job.id) ? t('preview_word') : '', ...differences(job, others)].filter(Boolean);
    const rest = (clip ? otherSettings(job) : describeOptions(job.kind, job.options ?? {})).filter((word) => !special.includes(word));
    const line = clip ? `${job.label} → ${name}` : name;
    const card = el('article', { className: 'job folded', 'data-id': job.id, 'data-state': job.state, 'aria-label': `${name}: ${t('state_done')}` },
      el('header', {}, special.length > 0 && el('span', { className: 'special' }, special.join(' · ')), el('h3', { className: 'name', title: name }, this.foldButton(job, line, true)), chips(rest), el('span', { className: 'hint' }, bytes(sizeOf(job)))));
    card.addEventListener('click', (/** @type {Event} */ event) => /** @type {Element} */ (event.target).closest('button') || this.fold(job.id, false));
    return card;
  }

  /** Creates the results of a job, with a row of buttons; "More" opens the others. @param {any} job @param {any[]} actions on the job */
  outcome(job, actions) {
    const { shown, first, more } = results(job, this.use);
    const folded = el('div', { className: 'row', id: `more-${job.id}` }, ...more, ...actions);
    const button = el('button', { className: 'plain', type: 'button', 'data-act': 'more', 'aria-label': t('card_more'), title: t('card_more'), 'aria-controls': folded.id, onclick: () => show(!this.opened.has(job.id)) }, '⋯');
    const show = (/** @type {boolean} */ on) => {
      this.opened[on ? 'add' : 'delete'](job.id);
      folded.hidden = !on;
      button.setAttribute('aria-expanded', String(on));
    };
    show(this.opened.has(job.id));
    return [...shown, job.summary?.check && job.files.length > 0 && colours(job),
      el('div', { className: 'row' }, ...first, ['images', 'chain'].includes(job.kind) && framesButton(job), button), folded];
  }

  /** Creates the buttons that move a queued job. @param {any} job */
  arrows(job) {
    const button = (/** @type {string} */ key, /** @type {string} */ sign, /** @type {number} */ to, /** @type {boolean} */ off) =>
      el('button', { className: 'plain icon', type: 'button', 'data-act': key, 'aria-label': t(key, { name: job.label }), title: t(key, { name: job.label }), disabled: off, onclick: () => this.moveInQueue(job.id, to) }, sign);
    const at = (job.position ?? 1) - 1;
    const count = this.queued.length;
    return count > 1 ? [button('earlier', '↑', at - 1, at === 0), button('later', '↓', at + 1, at >= count - 1)] : [];
  }

  /** Makes the card of a queued job draggable to the place of another one. @param {HTMLElement} card @param {any} job */
  drag(card, job) {
    card.addEventListener('dragstart', (event) => event.dataTransfer?.setData(DRAGGED, job.id));
    card.addEventListener('dragover', (event) => {
      if (!event.dataTransfer?.types.includes(DRAGGED)) return;
      event.preventDefault();
      card.classList.add('target');
    });
    card.addEventListener('dragleave', () => card.classList.remove('target'));
    card.addEventListener('drop', (event) => {
      card.classList.remove('target');
      const id = event.dataTransfer?.getData(DRAGGED);
      if (!id) return;
      event.preventDefault();
      this.moveInQueue(id, this.queued.findIndex((one) => one.job.id === job.id));
    });
  }

  /** Creates the card of a job that is about to be deleted, with an undo button. @param {any} job */
  undoCard(job) {
    return el('article', { className: 'job', 'data-id': job.id, 'data-state': 'deleted', 'aria-label': job.label },
      el('div', { className: 'row' }, el('p', { className: 'hint grow', role: 'status' }, t('deleted', { name: job.label })),
        el('button', { className: 'plain', type: 'button', 'data-act': 'delete', onclick: () => this.undoDeletion(job.id) }, t('undo'))));
  }

  /** Updates the progress bar, and fetches the preview at most every PREVIEW milliseconds. @param {{job: any, card: HTMLElement, shown: number}} entry */
  updateProgress(entry) {
    const { job, card } = entry;
    const { progress } = job;
    const bar = card.querySelector('progress');
    if (!bar || !progress) return;
    if (progress.total) bar.value = progress.done / progress.total;
    const moving = card.querySelector('.moving');
    if (moving) {
      moving.textContent = [
        progress.total ? t('progress', { done: progress.done, total: progress.total }) : t('progress_open', { done: progress.done }),
        progress.rate && !this.waits(job) ? t('rate', { rate: Math.round(progress.rate * 10) / 10 }) : '',
        progress.eta_s && !this.waits(job) ? t('left', { time: duration(progress.eta_s) }) : '',
      ].filter(Boolean).join(' · ');
    }
    const preview = /** @type {HTMLImageElement | null} */ (card.querySelector('.preview'));
    if (preview && progress.preview > 0 && (preview.hidden || Date.now() - entry.shown > PREVIEW)) {
      entry.shown = Date.now();
      preview.src = url(`/jobs/${job.id}/preview?n=${progress.preview}`);
      preview.hidden = false;
    }
  }
}

/** Creates the list of a job's settings. @param {string[]} words */
function chips(words) {
  return words.length > 0 && el('ul', { className: 'chips', 'aria-label': t('settings_of') }, ...words.map((text) => el('li', {}, text)));
}

/** Creates the line with the counts of a finished video job and the device. @param {any} job */
function facts(job) {
  const { made, held, cuts, frames_out: frames } = job.summary ?? {};
  const words = [
    frames && t('fact_frames', { n: frames }),
    made && t('fact_made', { n: made }),
    held && t('fact_held', { n: held }),
    cuts && t('fact_cuts', { n: cuts }),
    job.state === 'done' && job.plan?.engine?.replace(/(\d+) threads?/, (/** @type {string} */ _, /** @type {string} */ n) => t('threads', { n })),
  ].filter(Boolean);
  return words.length > 0 && el('p', { className: 'hint facts' }, words.join(' · '));
}

/** Returns the bytes of a job's results. @param {any} job */
const sizeOf = (job) => job.files.reduce((/** @type {number} */ sum, /** @type {any} */ file) => sum + file.bytes, 0);

/** Describes a job in one line. @param {any} job */
function about(job) {
  const spent = job.summary?.elapsed_s;
  const at = job.finished_at ?? job.created_at;
  return [
    t(`kind_${job.kind}`),
    at ? new Date(at).toLocaleString(language(), { dateStyle: 'medium', timeStyle: 'short' }) : '',
    job.position ? t('queued_at', { n: job.position }) : '',
    job.resumed ? t('resumed') : job.attempts > 1 ? t('attempt', { n: job.attempts }) : '',
    typeof spent === 'number' ? t('took', { time: duration(spent) }) : '',
  ].filter(Boolean).join(' · ');
}
