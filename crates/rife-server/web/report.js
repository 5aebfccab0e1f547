// @ts-check
// Quality reports (job kind `report`): start, and summary of a finished one.

import { call } from './api.js';
import { el, notice, say } from './dom.js';
import { t } from './text.js';

/** Formats a score. @param {{psnr: number}} score */
export const decibels = ({ psnr }) => psnr.toFixed(1);

/** Starts a report on a file. @param {any} ref @param {Record<string, any>} [options] of the network */
export async function checkQuality(ref, options = {}) {
  try {
    const job = await call('POST', '/jobs', { kind: 'report', inputs: [ref], options });
    say(t('started', { name: job.label }));
  } catch (error) {
    notice(/** @type {Error} */ (error).message);
  }
}

/** Creates the summary of a finished report with a button that opens it, in a dialog that is loaded for that. @param {any} job @param {(job: any) => void} change opens a job in its tab */
export function qualitySummary(job, change) {
  const { means, measured, better_than_blend: better } = job.summary;
  return el('div', { className: 'row' },
    el('p', { className: 'hint grow' }, t('quality_sum', { network: decibels(means.network), blend: decibels(means.blend), better, measured })),
    el('button', { className: 'plain', type: 'button', 'data-act': 'quality', onclick: () => import('./quality.js').then(({ open }) => open(job, change)).catch((error) => notice(error.message)) }, t('quality_show')));
}
