// @ts-check
// Texts of the page in all languages: add a language by adding a column here and in reasons.js.

import { REASONS } from './reasons.js';

/** @type {Record<string, [string, string]>} */
export const TABLE = {
  // key: [English, Chinese]
  skip: ['Skip to content', '跳到内容'],
  tagline: ['Smoother video: more frames, slow motion, transitions', '让视频更流畅：插帧、慢动作、过渡'],
  language: ['Language', '语言'],
  theme: ['Theme', '主题'],
  theme_auto: ['System', '跟随系统'],
  theme_light: ['Light', '浅色'],
  theme_dark: ['Dark', '深色'],
  footer: ['Files stay on this server and are not sent anywhere else.', '文件只留在此服务器，不会发往别处。'],
  api: ['API', '接口'],
  api_title: ['HTTP API', 'HTTP 接口'],
  api_back: ['Back to the page', '返回页面'],
  api_lead: ['Convert a clip from 25 to 50 frames per second in a shell:', '在命令行中把视频从每秒 25 帧转换为 50 帧：'],
  api_token: ['if the server requires a token, add -H "Authorization: Bearer $TOKEN" to each call', '服务器需要令牌时：每次调用加上 -H "Authorization: Bearer $TOKEN"'],
  api_machine: ['For programs, as OpenAPI 3.1:', '供程序使用的 OpenAPI 3.1 文档：'],
  api_method: ['Method', '方法'],
  api_path: ['Path', '路径'],
  api_what: ['Description', '说明'],
  tab_frames: ['Select frames', '选取帧'],
  tab_images: ['Between images', '图像之间'],
  tab_chain: ['Chain', '串接'],
  tab_video: ['Video', '视频'],
  tab_reencode: ['Re-encode', '重新编码'],
  lead_frames: ['Choose two frames of a clip; the next tab interpolates between them.', '从视频中选取两帧，下一个标签页会在它们之间插帧。'],
  lead_images: ['Interpolate between two or more pictures, in the order below.', '在两张或更多图像之间插帧，按下面的顺序。'],
  lead_chain: ['Join clips with interpolated transitions from the last frame of one to the first frame of the next.', '用前一段的最后一帧到后一段的第一帧插帧生成过渡，把多段视频接起来。'],
  lead_video: ['Raise the frame rate, or make slow motion. Audio and subtitles are kept.', '提高帧率，或制作慢动作。音频和字幕会保留。'],
  lead_reencode: ['Convert a clip to a widely playable format, and check its colours against the source.', '把视频转换为通用格式，并与原片核对颜色。'],
  drop_one: ['Drop a clip here, or choose a file', '把视频拖到这里，或选择文件'],
  drop_clips: ['Drop clips here, or choose files', '把多段视频拖到这里，或选择文件'],
  drop_images: ['Drop pictures here, or choose files', '把图像拖到这里，或选择文件'],
  choose_frames: ['Clip to choose frames from', '要选取帧的视频'],
  choose_images: ['Pictures', '图像'],
  choose_chain: ['Clips to join', '要串接的视频'],
  choose_video: ['Clips to interpolate', '要插帧的视频'],
  choose_reencode: ['Clip to re-encode', '要重新编码的视频'],
  several_queue: ['Several files are queued and processed one after the other.', '多个文件会依次排队处理。'],
  uploading: ['Uploading, {percent}%', '正在上传，{percent}%'],
  choose_again: ['The page was closed at {percent}%. Choose or drop the same file again to resume.', '上传到 {percent}% 时页面被关闭。请再次选择或拖入同一文件以继续。'],
  broke_off: ['The upload was interrupted at {percent}%.', '上传在 {percent}% 处中断。'],
  again: ['Resume upload of {name}', '继续上传 {name}'],
  unreadable_here: ['Your browser cannot read this: it was moved or changed, or it is not a file.', '浏览器无法读取：文件已被移动或修改，或者不是文件。'],
  only_first: ['Only one file at a time: {name} of {count} files is used.', '一次只能使用一个文件：共 {count} 个，使用 {name}。'],
  left_out: ['{count} files of other types were skipped.', '已略过 {count} 个其他类型的文件。'],
  nothing_clips: ['It contains no clip.', '其中没有视频。'],
  nothing_pictures: ['It contains no picture.', '其中没有图像。'],
  not_a_clip: ['A single picture has no frames to interpolate between. Add two pictures in “Between images” instead.', '单张图像没有可插的帧。请在“图像之间”中添加两张图像。'],
  not_a_picture: ['A clip, not a picture: choose frames of it in “Select frames”.', '这是视频而不是图像：请在“选取帧”中选取。'],
  fps: ['{fps} fps', '{fps} 帧/秒'],
  with_sound: ['audio', '有音频'],
  remove: ['Remove {name}', '移除 {name}'],
  earlier: ['Move {name} up', '上移 {name}'],
  later: ['Move {name} down', '下移 {name}'],
  start_frame: ['Start frame', '起始帧'],
  end_frame: ['End frame', '结束帧'],
  of_frames: ['1 to {last}', '1 到 {last}'],
  use_frames: ['Use frames in “Between images”', '在“图像之间”中使用这两帧'],
  about_clip: ['{size} · {frames} frames · {fps} fps · {time}', '{size} · {frames} 帧 · 每秒 {fps} 帧 · {time}'],
  frame: ['Frame {n}', '第 {n} 帧'],
  used_frames: ['Frames {a} and {b} were added to “Between images” in this order.', '第 {a} 帧和第 {b} 帧已按此顺序放入“图像之间”。'],
  frames_order: ['The start frame must be before the end frame.', '起始帧必须在结束帧之前。'],
  start: ['Start', '开始'],
  start_many: ['Start {count} jobs', '开始 {count} 个任务'],
  run_again: ['Run again', '再次运行'],
  begun: ['Already queued; change an option to create another job.', '已在队列中；修改选项可新建任务。'],
  checking: ['Checking every file…', '正在检查每个文件…'],
  not_started: ['{bad} of {count} files cannot be used and will be skipped.', '{count} 个文件中有 {bad} 个无法使用，将被跳过。'],
  in_the_way: ['{bad} of {count} files cannot be used: remove or replace them first.', '{count} 个文件中有 {bad} 个无法使用：请先移除或替换。'],
  needs_factor: ['Enter a factor from 1 to 256.', '请输入 1 到 256 的倍数。'],
  needs_rate: ['Enter a rate, such as 50 or 60000/1001.', '请输入帧率，例如 50 或 60000/1001。'],
  reset: ['Defaults', '恢复默认'],
  more_options: ['More options', '更多选项'],
  needs: ['Add {count} or more files.', '请添加至少 {count} 个文件。'],
  planning: ['Estimating…', '正在估算…'],
  plan_frames: ['Frames', '帧数'],
  plan_rate: ['Frame rate', '帧率'],
  plan_length: ['Duration', '时长'],
  plan_time: ['Estimated time', '预计用时'],
  plan_memory: ['Memory', '内存'],
  plan_disk: ['Disk', '磁盘'],
  plan_size: ['Size', '尺寸'],
  plan_total: ['{count} jobs in total: about {time}, for {length} of video.', '{count} 个任务合计：约 {time}，视频总长 {length}。'],
  findings: ['Properties of the clip and requirements of the profile', '视频属性与规格要求'],
  conforms: ['This clip already conforms. Nothing needs to be done.', '该视频已符合要求，无需处理。'],
  finding: ['Property', '项目'],
  found: ['Found', '当前'],
  wanted: ['Required', '要求'],
  good: ['Conforms', '符合'],
  not_tagged: ['not tagged', '未标记'],
  what_container: ['container', '容器'],
  what_codec: ['codec', '编码'],
  what_profile: ['profile', '编码档次'],
  what_pixel_format: ['pixel format', '像素格式'],
  what_matrix: ['matrix', '色彩矩阵'],
  what_primaries: ['primaries', '三原色'],
  what_transfer: ['transfer', '传递函数'],
  what_range: ['range', '取值范围'],
  what_rate: ['rate', '帧率'],
  what_sound: ['audio', '音频'],
  yes: ['yes', '是'],
  no: ['no', '否'],
  o_rate_by: ['Set the rate by', '帧率设置方式'],
  o_rate_passes: ['Passes (doublings)', '遍数（每遍翻倍）'],
  o_rate_factor: ['Factor', '倍数'],
  o_rate_fps: ['Target rate', '目标帧率'],
  o_passes: ['Passes', '遍数'],
  o_passes_video: ['{n}: {x}×', '{n} 遍：{x} 倍'],
  o_passes_between: ['{n}: {x} intervals', '{n} 遍：{x} 段'],
  o_factor: ['Factor', '倍数'],
  o_fps: ['Frames per second', '每秒帧数'],
  o_fps_hint: ['Such as 50, 59.94 or 60000/1001', '例如 50、59.94 或 60000/1001'],
  o_fps_chain: ['Output frames per second', '输出每秒帧数'],
  o_fps_first: ['Empty: same as the first clip', '留空：与第一段相同'],
  o_slow: ['Slow motion', '慢动作'],
  o_slow_hint: ['Keeps the rate and stretches time', '帧率不变，时间拉长'],
  o_stretch: ['Stretch the audio, too', '音频同步拉长'],
  o_method: ['Timestep method', '时间点方法'],
  o_method_hint: ['Auto: direct if the model supports it', '自动：模型支持时直接生成'],
  o_method_auto: ['auto', '自动'],
  o_method_direct: ['direct: each frame at its time', '直接：逐帧生成每个时刻'],
  o_method_recursive: ['recursive: repeated halving', '递归：反复取中间帧'],
  o_model: ['Model', '模型'],
  o_scale: ['Scale of motion estimation', '运动估计比例'],
  o_scale_hint: ['0.5 for 4K, 2 for small pictures', '4K 用 0.5，小图用 2'],
  o_device: ['Device', '设备'],
  o_precision: ['Precision', '精度'],
  o_precision_hint: ['int8 is faster if the processor supports it', '处理器支持时 int8 更快'],
  o_tta: ['Test-time augmentation', '测试时增强'],
  o_tta_hint: ['Slightly better, twice the time', '略好，耗时翻倍'],
  o_ensemble: ['Ensemble', '双向集成'],
  o_cut: ['Cut threshold', '镜头切换阈值'],
  o_cut_hint: ['0 detects no cuts', '0 表示不检测'],
  o_cut_fill: ['At a cut', '切换处'],
  o_cut_repeat: ['repeat the frame before', '重复前一帧'],
  o_cut_blend: ['blend both frames', '混合两帧'],
  o_duplicates: ['Repeated frames', '重复帧'],
  o_dup_smooth: ['smooth the motion', '平滑运动'],
  o_dup_keep: ['keep', '保留'],
  o_overlays: ['Static overlays', '静态叠加层'],
  o_overlays_auto: ['copy from the source', '从原片复制'],
  o_overlays_hint: ['Logos, subtitles, black bars', '台标、字幕、黑边'],
  o_overlays_off: ['interpolate with the rest', '一并插帧'],
  o_telecine: ['Inverse telecine', '反胶卷过带'],
  o_deinterlace: ['Deinterlace', '去隔行'],
  o_video_only: ['Video only', '只保留视频'],
  o_montage: ['Source and result side by side', '原片与结果并排'],
  o_confidence: ['Measure confidence', '测量可信度'],
  o_confidence_hint: ['Shows below “Before and after” where interpolated frames may be wrong; takes more time', '在“前后对比”下方显示可能有误的插帧；耗时更长'],
  o_ext: ['File type', '文件类型'],
  o_ext_source: ['same as the source', '与原片相同'],
  o_codec: ['Codec', '编码'],
  o_codec_usual: ['default', '默认'],
  o_crf: ['Quality (CRF)', '质量（CRF）'],
  o_crf_hint: ['Lower is better; empty: default (18 for H.264)', '越低越好；留空：默认值（H.264 为 18）'],
  o_size: ['Size', '尺寸'],
  o_size_hint: ['Such as 1280x720; empty: same as the first', '例如 1280x720；留空：与第一个相同'],
  o_fit: ['If sizes differ', '尺寸不同时'],
  o_fit_pad: ['pad', '补边'],
  o_fit_crop: ['crop', '裁剪'],
  o_fit_stretch: ['stretch', '拉伸'],
  o_memory: ['Intermediate frames', '中间帧存放'],
  o_memory_disk: ['disk: little memory', '磁盘：占用内存小'],
  o_memory_memory: ['memory: faster', '内存：更快'],
  o_sound: ['Audio in transitions', '过渡处的音频'],
  o_sound_crossfade: ['crossfade', '交叉淡化'],
  o_sound_silence: ['silence', '静音'],
  o_sound_drop: ['no audio', '去掉音频'],
  o_profile: ['Profile', '规格'],
  o_profile_web: ['web: H.264, AAC', '网页：H.264、AAC'],
  o_profile_latentsync: ['LatentSync: 25 fps, 16 kHz audio', 'LatentSync：每秒 25 帧，16 kHz 音频'],
  o_profile_archive: ['archive: lossless', '存档：无损'],
  o_force: ['Re-encode even if it conforms', '即使符合也重新编码'],
  jobs: ['Jobs', '任务'],
  no_jobs: ['No jobs yet. Jobs stay in this list when the page or the server is restarted.', '还没有任务。刷新页面或重启服务器后，任务仍会保留在这里。'],
  more: ['Older jobs', '更早的任务'],
  kind_video: ['Video', '视频'],
  kind_images: ['Between images', '图像之间'],
  kind_chain: ['Chain', '串接'],
  kind_reencode: ['Re-encode', '重新编码'],
  state_queued: ['queued', '排队中'],
  state_running: ['running', '进行中'],
  state_done: ['done', '完成'],
  state_failed: ['failed', '失败'],
  state_cancelled: ['cancelled', '已取消'],
  queued_at: ['Position {n} in the queue', '队列第 {n} 位'],
  progress: ['{done} of {total}', '{done} / {total}'],
  progress_open: ['{done} done', '已完成 {done}'],
  rate: ['{rate} frames per second', '每秒 {rate} 帧'],
  left: ['{time} left', '剩余 {time}'],
  attempt: ['Restarted from the beginning (attempt {n})', '从头重新开始（第 {n} 次）'],
  resumed: ['Resumed after an interruption', '中断后已继续'],
  cancel: ['Cancel', '取消'],
  retry: ['Try again', '重试'],
  delete: ['Delete', '删除'],
  deleted: ['{name} was deleted.', '已删除 {name}。'],
  undo: ['Undo', '撤销'],
  download: ['Download', '下载'],
  download_of: ['Download {name}', '下载 {name}'],
  play_of: ['Play {name}', '播放 {name}'],
  pictures: ['{count} pictures; click one to download it', '{count} 张图像，点击即可下载'],
  checked: ['Colours checked on {frames} frames: {psnr}, mean difference at most {bias}', '已在 {frames} 帧上核对颜色：{psnr}，平均偏差至多 {bias}'],
  decibels: ['{n} dB', '{n} dB'],
  same: ['identical', '完全相同'],
  compare: ['Before and after', '前后对比'],
  use_in: ['Use output in…', '将结果用于…'],
  preview: ['Newest generated frame', '最新生成的帧'],
  not_needed: ['The clip conforms; nothing was written.', '视频已符合要求，未写入新文件。'],
  took: ['took {time}', '用时 {time}'],
  started: ['{name} was added to the queue.', '{name} 已加入队列。'],
  finished: ['{name} is done.', '{name} 已完成。'],
  failed: ['{name} failed: {text}', '{name} 失败：{text}'],
  before: ['Before', '之前'],
  after: ['After', '之后'],
  divider: ['Divider between before and after', '前后分界'],
  flip: ['Flip', '切换'],
  confidence: ['Confidence over time; minimum {least} % at {at} s', '可信度随时间的变化；最低 {least} %，在 {at} 秒'],
  play: ['Play', '播放'],
  pause: ['Pause', '暂停'],
  position: ['Position', '位置'],
  close: ['Close', '关闭'],
  stills: ['Your browser cannot play: {what}. The server renders both, one frame at a time.', '浏览器无法播放：{what}。两侧画面均由服务器逐帧绘制。'],
  frame_back: ['One frame back', '后退一帧'],
  frame_on: ['One frame forward', '前进一帧'],
  clock: ['{at} of {length} s', '{at} / {length} 秒'],
  cannot_play_one: ['Your browser cannot play this file; download it, or use “Before and after”.', '浏览器无法播放此文件；请下载，或在“前后对比”中查看。'],
  offline: ['The server cannot be reached since {time}; trying again. Grey content is from that time.', '自 {time} 起无法连接服务器，正在重试。灰色内容为当时的状态。'],
  leave: ['Log out', '退出登录'],
  token: ['This server requires a token.', '此服务器需要令牌。'],
  token_label: ['Token', '令牌'],
  enter: ['Log in', '登录'],
  seconds: ['{n} s', '{n} 秒'],
  minutes: ['{m} min {s} s', '{m} 分 {s} 秒'],
  hours: ['{h} h {m} min', '{h} 小时 {m} 分'],
  system: ['rife {version} · models: {models} · {devices}', 'rife {version} · 模型：{models} · {devices}'],
  stream_video: ['video', '视频'],
  stream_audio: ['audio', '音频'],
  stream_subtitle: ['subtitle', '字幕'],
  stream_attachment: ['attachment', '附件'],
  stream_data: ['data', '数据'],
  stream_cover_art: ['cover art', '封面'],
  error_bad_request: ['The request is invalid.', '请求无效。'],
  error_unauthorized: ['The token is missing or wrong.', '令牌缺失或错误。'],
  error_bad_origin: ['The request comes from another site.', '请求来自其他网站。'],
  error_not_found: ['It does not exist any more.', '已不存在。'],
  error_no_preview: ['No frame has been generated yet.', '尚未生成任何帧。'],
  error_method_not_allowed: ['This operation is not supported here.', '此处不支持该操作。'],
  error_timeout: ['The request timed out.', '等待超时。'],
  error_upload_offset: ['The upload continues at another position.', '上传位置不一致。'],
  error_upload_incomplete: ['The upload is not complete.', '上传尚未完成。'],
  error_busy: ['It is in use.', '正在使用中。'],
  error_length_required: ['The length is missing.', '缺少长度。'],
  error_too_large: ['The file is too large.', '文件过大。'],
  error_unsupported_type: ['This type is not supported.', '不支持的类型。'],
  error_range: ['The range is invalid.', '范围无效。'],
  error_bad_host: ['The server does not accept this host name.', '服务器不使用此名称。'],
  error_invalid_option: ['An option is invalid.', '选项无效。'],
  error_bad_input: ['The file cannot be used.', '文件无法使用。'],
  error_no_frame: ['This frame does not exist.', '没有这一帧。'],
  error_queue_full: ['The queue is full.', '队列已满。'],
  error_too_many: ['Too many requests at once.', '同时请求过多。'],
  error_internal: ['An error occurred in the server.', '服务器内部错误。'],
  error_no_ffmpeg: ['ffmpeg is missing.', '缺少 ffmpeg。'],
  error_shutting_down: ['The server is stopping.', '服务器正在停止。'],
  error_quota: ['There is not enough space.', '空间不足。'],
  error_failed: ['The job failed.', '任务失败。'],
  error_model: ['The model cannot be used.', '模型无法使用。'],
  error_interrupted: ['The server was interrupted too often during the job.', '任务运行时服务器多次中断。'],
  error_bad_result: ['The result failed the colour check.', '结果未通过颜色检查。'],
};

const COLUMNS = ['en', 'zh'];

/** Returns the current language: the chosen one, else the browser's. */
export function language() {
  const chosen = localStorage.getItem('language') ?? navigator.language.slice(0, 2);
  return COLUMNS.includes(chosen) ? chosen : 'en';
}

/** Returns a text in the current language, with `{name}` replaced.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @param {string} [other] fallback if the table has no such key
 */
export function t(key, values = {}, other = key) {
  const row = TABLE[key];
  if (!row) return other;
  return fill(row[COLUMNS.indexOf(language())], values);
}

/** @param {string} text @param {Record<string, any>} values */
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));

/** Translates a note of a plan or the reason of an error; returns the English message if the table does not have it.
 * @param {{code?: string, params?: Record<string, any>, message?: string}} note
 * @returns {string}
 */
export function noteText({ code = '', params = {}, message = '' }) {
  const row = REASONS[code];
  const at = COLUMNS.indexOf(language());
  if (!row || at === 0) return message;
  // The parameter `what` begins with the kind of a stream.
  const words = Object.entries(params).map(([name, value]) => [name, value?.code ? noteText(value) : name === 'what' ? kinds(String(value)) : value]);
  return fill(row[at], Object.fromEntries(words));
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
