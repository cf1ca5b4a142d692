// Curves of the last minutes, drawn by uPlot in the colours of the page.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

const SPAN_S = 300;
// Steps of an axis of bytes: 1, 2 and 5 times powers of 1024 and of ten within them.
const BYTE_STEPS = [0, 1, 2, 3, 4].flatMap((power) => [1, 2, 5, 10, 20, 50, 100, 200, 500].map((step) => step * 1024 ** power));

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function options(series, format, steps, width) {
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const font = "11px system-ui, sans-serif";
  return {
    width,
    height: 150,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, 4)] }, x: { range: (_, low, high) => [high - SPAN_S, high] } },
    axes: [
      { ...axis, font, size: 26, space: 70, values: (_, splits) => splits.map((at) => new Date(at * 1000).toTimeString().slice(0, 5)), incrs: [60, 120, 300] },
      { ...axis, font, size: 74, space: 34, values: (_, splits) => splits.map((value) => format(value, true)), ...(steps && { incrs: steps }) },
    ],
    series: [
      {},
      ...series.map(({ label, colour: name }) => ({
        label,
        stroke: colour(name),
        fill: `${colour(name)}1c`,
        width: 1.6,
        points: { show: false },
      })),
    ],
  };
}

/** `series`: [{ label, field, colour }]; colours are names of the style sheet's variables. */
export function Curves({ history, series, format, binary, label }) {
  const place = useRef(null);
  const plot = useRef(null);
  const data = [history.map((point) => point.at_ms / 1000), ...series.map(({ field }) => history.map((point) => point[field]))];
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(series, format, binary && BYTE_STEPS, place.current.clientWidth), latest.current, place.current);
    };
    make();
    const resized = new ResizeObserver(() => plot.current.setSize({ width: place.current.clientWidth, height: 150 }));
    resized.observe(place.current);
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", make);
    document.addEventListener("theme", make);
    return () => {
      resized.disconnect();
      scheme.removeEventListener("change", make);
      document.removeEventListener("theme", make);
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(data));

  const now = history.at(-1);
  return (
    <figure class="curves">
      <figcaption>
        <span>{label}</span>
        {series.map(({ label: name, field, colour: of }) => (
          <span class="key" key={field}><i style={{ background: `var(${of})` }} />{name} <b data-figure={field}>{format(now ? now[field] : 0)}</b></span>
        ))}
      </figcaption>
      <div ref={place} class="plot" />
    </figure>
  );
}
