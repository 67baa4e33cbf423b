/** What visitors bring: chosen, dropped and pasted files. */
import { get } from "./elements";

/** handle: called with files, at least one. onNothing: where something without files was pasted. */
export function listenForFiles(handle: (files: File[]) => void, onNothing: () => void): void {
  const input = get<HTMLInputElement>("files");
  input.onchange = () => {
    const files = [...(input.files ?? [])];
    input.value = "";
    if (files.length) handle(files);
  };
  for (const button of document.querySelectorAll<HTMLElement>("[data-choose]")) button.onclick = () => input.click();

  let depth = 0;
  const over = (change: number): void => {
    depth = change ? Math.max(0, depth + change) : 0;
    document.body.classList.toggle("dropping", depth > 0);
  };
  document.addEventListener("dragenter", (event) => {
    event.preventDefault();
    over(1);
  });
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(0);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length) handle(files);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) handle(files);
    else onNothing();
  });
}
