// @ts-check
// Quality report of a clip (job kind `report`): scores, plot, worst frames, and a fallback for them.

import { url } from './api.js';
import { el } from './dom.js';
import { decibels } from './report.js';
import { plot } from './svg.js';
import { t } from './text.js';

/** Ways to make a frame, as named in reports. */
const WAYS = ['network', 'blend', 'hold'];

/**
 * Returns the threshold of confidence below which replaced frames give the highest mean PSNR, and its gain in dB; null if none
 * is better than no replacement.
 * @param {any[]} frames @param {string} way
 */
export function bestThreshold(frames, way) {
  const sorted = frames.toSorted((a, b) => a.confidence - b.confidence);
  let [gain, best] = [0, { gain: 0, below: 0 }];
  for (const [index, frame] of sorted.entries()) {
    gain += frame[way].psnr - frame.network.psnr;
    const next = sorted[index + 1]?.confidence ?? 1;
    if (next > frame.confidence && gain > best.gain) best = { gain, below: Math.ceil(500 * (frame.confidence + next)) / 1000 };
  }
  const mean = best.gain / (frames.length || 1);
  return mean >= 0.01 && best.below <= 1 ? { gain: mean, below: best.below } : null;
}

/** Opens the report in a dialog. @param {any} job @param {(job: any) => void} change */
export async function open(job, change) {
  const load = async (/** @type {string} */ name) => (await fetch(url(`/jobs/${job.id}/files/${name}`))).json();
  const [report, worst] = await Promise.all([load('report.json'), load('worst.json')]);
  const { frames } = report;
  const dialog = el('dialog', { 'aria-label': t('quality') });
  const times = frames.map((/** @type {any} */ frame) => frame.time);
  const lines = WAYS.map((name) => ({ name, values: frames.map((/** @type {any} */ frame) => frame[name].psnr) }));
  const all = lines.flatMap(({ values }) => values).filter((/** @type {number} */ value) => value < 100);
  const range = /** @type {[number, number]} */ ([Math.floor(Math.min(...all, 50)), Math.ceil(Math.max(...all, 20))]);
  const fix = (/** @type {string} */ way) => {
    const best = bestThreshold(frames, way);
    if (!best) return el('p', { className: 'hint' }, t(`fallback_none_${way}`));
    return el('button', { type: 'button', className: 'plain', onclick: () => {
      dialog.close();
      change({ kind: 'video', inputs: job.inputs, options: { fallback: way, fallback_below: best.below } });
    } }, t(`fallback_use_${way}`, { below: best.below, gain: best.gain.toFixed(2) }));
  };
  dialog.append(el('h2', {}, `${t('quality')}: ${job.label}`), el('p', { className: 'hint' }, t('quality_how', { measured: frames.length })),
    scores(report.means), plot(lines, times, range, t('quality_plot', { low: range[0], high: range[1] })),
    el('p', { className: 'legend' }, ...WAYS.map((name) => el('span', { className: name }, t(`way_${name}`)))),
    el('div', { className: 'row' }, fix('blend'), fix('hold')),
    el('h3', {}, t('quality_worst')), el('ol', { className: 'worst' }, ...worst.map((/** @type {any} */ one) => worstFrame(frames[one.index], one))),
    el('div', { className: 'row' }, el('button', { className: 'plain', type: 'button', onclick: () => dialog.close() }, t('close'))));
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.showModal();
}

/** Creates the table of mean scores. @param {any} means */
function scores(means) {
  const head = ['way', 'psnr', 'ssim'].map((key) => el('th', { scope: 'col' }, t(`score_${key}`)));
  const rows = WAYS.map((name) => el('tr', {}, el('th', { scope: 'row' }, t(`way_${name}`)), el('td', {}, `${decibels(means[name])} dB`), el('td', {}, means[name].ssim.toFixed(4))));
  return el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...rows));
}

/** Creates the pictures of one of the worst frames. @param {any} frame @param {any} one */
function worstFrame(frame, one) {
  const shown = [['truth', one.truth, ''], ['network', one.network, decibels(frame.network)], ['blend', one.blend, decibels(frame.blend)]];
  return el('li', {}, el('p', { className: 'hint' }, t('worst_at', { frame: frame.frame + 1, time: frame.time.toFixed(2), confidence: Math.round(100 * frame.confidence) })),
    el('div', { className: 'trio' }, ...shown.map(([name, src, score]) => el('figure', {}, el('img', { src, alt: t(`way_${name}`) }), el('figcaption', { className: 'hint' }, `${t(`way_${name}`)}${score ? ` · ${score} dB` : ''}`)))));
}
