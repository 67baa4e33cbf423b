/** The camera, and why there is none. */
import { type Key } from "./texts";

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };

/** Rejects with the browser's reason; see `cameraFailure`. */
export async function openCamera(): Promise<MediaStream> {
  // Browsers know no cameras on pages that came over plain http from elsewhere.
  if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
  return navigator.mediaDevices.getUserMedia({ video: WANTED, audio: false });
}

/** What to tell the visitor. */
export function cameraFailure(error: unknown): Key {
  switch ((error as DOMException).name) {
    case "SecurityError":
      return "cameraInsecure";
    case "NotAllowedError":
      return "cameraDenied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "cameraMissing";
    default:
      return "cameraBusy";
  }
}
