/** The choices of network and smoothing. */
import { get } from "./elements";
import { type Settings } from "./settings";
import { say } from "./texts";

/** Fills both lists anew, in the language of the page, with what is chosen now. */
export function fillChoices(settings: Settings, model: string, halfLifeS: number): void {
  get<HTMLSelectElement>("model").replaceChildren(
    ...settings.models.map(({ name, expressions }) => {
      return new Option(say("classes", { name, count: expressions.length }), name, false, name === model);
    }),
  );
  const options = [...new Set([0, 0.1, settings.tracking.half_life_s, 1])].sort((a, b) => a - b);
  get<HTMLSelectElement>("smoothing").replaceChildren(
    ...options.map((seconds) => {
      const text = seconds ? say("seconds", { seconds }) : say("smoothingNone");
      return new Option(text, String(seconds), false, seconds === halfLifeS);
    }),
  );
  for (const each of document.querySelectorAll<HTMLElement>("[data-example]")) {
    each.setAttribute("aria-label", say("example", { name: each.dataset.name! }));
  }
}
