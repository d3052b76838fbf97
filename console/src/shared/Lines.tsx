import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TooltipComponent } from 'echarts/components';
import { init, use, type EChartsType } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { useEffect, useRef } from 'react';
import { useTheme } from '@/theme';
import type { Series } from './Chart';

use([LineChart, GridComponent, LegendComponent, TooltipComponent, CanvasRenderer]);

// Told apart by lightness too, on both backgrounds.
const colours = {
  light: ['#0052d9', '#d54941', '#007e4d', '#b35400', '#7b3fbf', '#00788a'],
  dark: ['#699ef5', '#ff9285', '#56c08d', '#f0a55c', '#c79df0', '#4fc3d6'],
};

/** The drawing of a Chart. */
export default function Lines({
  label,
  times,
  series,
  format,
  height,
}: {
  label: string;
  times: readonly string[];
  series: readonly Series[];
  format: (value: number) => string;
  height: number;
}) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType>(null);
  const { dark } = useTheme();
  useEffect(() => {
    if (!box.current) return;
    const made = init(box.current);
    chart.current = made;
    const watch = new ResizeObserver(() => made.resize());
    watch.observe(box.current);
    return () => {
      watch.disconnect();
      made.dispose();
    };
  }, []);
  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue('--td-text-color-secondary');
    const line = style.getPropertyValue('--td-component-stroke');
    chart.current?.setOption(
      {
        animation: false,
        color: dark ? colours.dark : colours.light,
        grid: { left: 8, right: 12, top: 34, bottom: 4, containLabel: true },
        legend: { type: 'plain', top: 0, left: 0, itemHeight: 8, textStyle: { color: ink } },
        // HTML tooltips carry style attributes, which the content security policy refuses.
        tooltip: { trigger: 'axis', renderMode: 'richText', valueFormatter: (value: unknown) => (typeof value === 'number' ? format(value) : '—') },
        xAxis: { type: 'time', axisLabel: { color: ink, hideOverlap: true }, axisLine: { lineStyle: { color: line } } },
        yAxis: {
          type: 'value',
          minInterval: 1,
          axisLabel: { color: ink, formatter: (value: number) => format(value) },
          splitLine: { lineStyle: { color: line } },
        },
        series: series.map(({ name, values }) => ({
          type: 'line',
          name,
          showSymbol: false,
          data: values.map((value, i) => [times[i], value]),
        })),
      },
      { notMerge: true },
    );
  }, [times, series, format, dark]);
  return <div ref={box} role="img" aria-label={label} style={{ height }} />;
}
