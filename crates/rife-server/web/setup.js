// @ts-check
// Check of the server for new users: ffmpeg, free space, and devices.

import { el } from './dom.js';
import { bytes, t } from './text.js';

/** Bytes of free space below which the check warns. */
const LOW_SPACE = 2e9;

/** Returns the names of the devices in the current language. @param {{name: string, description: string}[]} devices */
export const deviceNames = (devices) => devices.filter(({ name }) => name !== 'auto').map(({ name, description }) => t(`device_${name}`, {}, description)).join(', ');

/** Creates the list of checks. @param {any} health */
export function setup({ ffmpeg, free, devices }) {
  const checks = [
    [Boolean(ffmpeg), ffmpeg ? t('setup_ffmpeg', { version: ffmpeg }) : t('error_no_ffmpeg')],
    [free >= LOW_SPACE, t(free >= LOW_SPACE ? 'setup_disk' : 'setup_disk_low', { free: bytes(free) })],
    [true, t('setup_device', { names: deviceNames(devices) })],
  ];
  return el('section', { className: 'setup', 'aria-label': t('setup') }, el('ul', {}, ...checks.map(([good, text]) => el('li', { className: good ? 'yes' : 'no' }, `${good ? '✓' : '✗'} ${text}`))));
}
