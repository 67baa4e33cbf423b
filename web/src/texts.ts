/** Everything the page says, in English and Chinese. */
const english = {
  tagline: "Expressions in faces, recognised on your own device",
  question: "What does this face express?",
  invitation: "Drop photos or a video here, or paste one.",
  choose: "Choose files",
  camera: "Use the camera",
  examples: "Or try one of these",
  example: "Example: {name}",
  privacy: "No picture leaves this device. Recognition runs in this browser, also offline.",
  loading: "Getting ready …",
  failedToLoad: "The networks could not be loaded. Reload the page to try again.",
  network: "Network",
  classes: "{name}, {count} expressions",
  language: "中文",
  languageLabel: "在中文和英文之间切换",
  caution: "A face's expression is not what a person feels.",
  card: "What the networks learned from, and where they fail",
  licences: "Licences",
  newFiles: "More files",
  stop: "Stop",
  close: "Start over",
  download: "Download",
  table: "Table",
  csv: "CSV",
  json: "JSON",
  picture: "Annotated picture",
  record: "Annotated video",
  recording: "Stop and save",
  smoothing: "Smoothing",
  smoothingNone: "none",
  seconds: "{seconds} s",
  looking: "Looking for faces …",
  noFace: "No face found.",
  noFaceYet: "Waiting for a face …",
  oneFace: "1 face",
  faces: "{count} faces",
  face: "Face {number}",
  person: "Person {number}",
  unsure: "unsure",
  unsureWhy: "Below this confidence, the network is more often wrong than right.",
  covered: "mouth covered",
  coveredWhy: "The mouth seems covered, as by a mask; networks that learned from bare faces guess then.",
  timeline: "Over time",
  timelineLabel: "Expressions over time, a row for each person",
  progress: "{done} of {count} pictures",
  speed: "{ms} ms: read {decode}, detect {detect}, crop {crop}, recognise {recognize}",
  speedLive: "{fps} frames a second, {ms} ms each: read {decode}, detect {detect}, crop {crop}, recognise {recognize}",
  unreadable: "{name} cannot be read here. JPEG, PNG, WebP, GIF and BMP pictures, and videos that this browser plays, can.",
  tooLarge: "{name} has too many pixels; up to {most} million are read.",
  failed: "{name} could not be recognised: {reason}",
  cameraDenied: "The camera may not be used. Allow it in the browser's settings for this page.",
  cameraMissing: "No camera was found.",
  cameraBusy: "The camera could not be started; another program may be using it.",
  cameraInsecure: "Browsers give the camera to pages from this machine or with https only.",
  nothingToPaste: "There was no picture to paste.",
  cannotRecord: "This browser cannot record videos.",
  source: "Picture",
  number: "No.",
  expression: "Expression",
  confidence: "Confidence",
  detection: "Detection",
  box: "Box (px)",
  seen: "Seen",
  mostly: "Mostly",
  stageLabel: "The picture with a numbered box around each face",
  stripLabel: "Pictures",
  resultLabel: "Faces and what they express",
};
export type Key = keyof typeof english;

const chinese: Record<Key, string> = {
  tagline: "识别面部表情，全部在您自己的设备上完成",
  question: "这张脸是什么表情？",
  invitation: "把照片或视频拖到这里，或直接粘贴。",
  choose: "选择文件",
  camera: "使用摄像头",
  examples: "或者试试这些",
  example: "示例：{name}",
  privacy: "图片不会离开本设备。识别在浏览器中进行，离线也能使用。",
  loading: "正在准备……",
  failedToLoad: "网络文件未能加载。请刷新页面重试。",
  network: "网络",
  classes: "{name}，{count} 种表情",
  language: "English",
  languageLabel: "Switch between English and Chinese",
  caution: "面部表情并不等于人的真实感受。",
  card: "这些网络从哪里学习，又会在哪里出错",
  licences: "许可证",
  newFiles: "添加文件",
  stop: "停止",
  close: "重新开始",
  download: "下载",
  table: "表格",
  csv: "CSV",
  json: "JSON",
  picture: "带标注的图片",
  record: "带标注的视频",
  recording: "停止并保存",
  smoothing: "平滑",
  smoothingNone: "无",
  seconds: "{seconds} 秒",
  looking: "正在寻找人脸……",
  noFace: "没有找到人脸。",
  noFaceYet: "等待人脸出现……",
  oneFace: "1 张脸",
  faces: "{count} 张脸",
  face: "人脸 {number}",
  person: "人物 {number}",
  unsure: "不确定",
  unsureWhy: "低于此置信度时，网络出错多于正确。",
  covered: "嘴部被遮挡",
  coveredWhy: "嘴部似乎被遮挡，例如戴着口罩；网络只见过露出的脸，此时只能猜测。",
  timeline: "随时间变化",
  timelineLabel: "表情随时间的变化，每人一行",
  progress: "已完成 {done} / {count} 张",
  speed: "{ms} 毫秒：读取 {decode}，检测 {detect}，裁剪 {crop}，识别 {recognize}",
  speedLive: "每秒 {fps} 帧，每帧 {ms} 毫秒：读取 {decode}，检测 {detect}，裁剪 {crop}，识别 {recognize}",
  unreadable: "无法读取 {name}。可以使用 JPEG、PNG、WebP、GIF、BMP 图片，以及本浏览器能播放的视频。",
  tooLarge: "{name} 的像素过多；最多可读取 {most} 百万像素。",
  failed: "{name} 未能识别：{reason}",
  cameraDenied: "没有使用摄像头的权限。请在浏览器的网站设置中允许。",
  cameraMissing: "没有找到摄像头。",
  cameraBusy: "摄像头无法启动，可能正被其他程序使用。",
  cameraInsecure: "浏览器只允许本机页面或 https 页面使用摄像头。",
  nothingToPaste: "剪贴板里没有图片。",
  cannotRecord: "本浏览器不能录制视频。",
  source: "图片",
  number: "编号",
  expression: "表情",
  confidence: "置信度",
  detection: "检测",
  box: "位置(像素)",
  seen: "出现时长",
  mostly: "主要表情",
  stageLabel: "图片，每张脸都有带编号的框",
  stripLabel: "图片列表",
  resultLabel: "人脸及其表情",
};

/** Expressions that mien's networks know; those of other networks keep their names. */
const expressions: Readonly<Record<string, string>> = {
  anger: "愤怒",
  contempt: "轻蔑",
  disgust: "厌恶",
  fear: "恐惧",
  happiness: "高兴",
  neutral: "平静",
  sadness: "悲伤",
  surprise: "惊讶",
};

export type Language = "en" | "zh";
const STORED = "mien language";
let language: Language = remembered() ?? (navigator.language.startsWith("zh") ? "zh" : "en");

function remembered(): Language | null {
  try {
    const found = localStorage.getItem(STORED);
    return found === "en" || found === "zh" ? found : null;
  } catch {
    return null; // storage is switched off
  }
}

export function spoken(): Language {
  return language;
}

/** The other language from now on, also at the next visit. */
export function switchLanguage(): void {
  language = language === "en" ? "zh" : "en";
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // then it is not kept
  }
}

export function say(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  const text = (language === "zh" ? chinese : english)[key];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
}

export function sayExpression(name: string): string {
  return language === "zh" ? (expressions[name] ?? name) : name;
}

/** Puts texts into all elements that name one, in `data-text`, `data-label` or `data-title`. */
export function translate(root: ParentNode = document): void {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const each of root.querySelectorAll<HTMLElement>("[data-text]")) each.textContent = say(each.dataset.text as Key);
  for (const each of root.querySelectorAll<HTMLElement>("[data-label]")) {
    each.setAttribute("aria-label", say(each.dataset.label as Key));
  }
}
