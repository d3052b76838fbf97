import { Button } from 'tdesign-react';
import { lazy, Suspense, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLanguage } from '@/i18n';
import { Loading } from './feedback';

/** A line: its values belong to the chart's instants; null where nothing was measured. */
export interface Series {
  name: string;
  values: ReadonlyArray<number | null>;
}

const Lines = lazy(() => import('./Lines'));

/**
 * Lines over time, in the colours of the theme, described for screen readers and available
 * as a table. The chart library is loaded when the first one is shown.
 */
export function Chart({
  title,
  times,
  series,
  format = String,
  height = 220,
}: {
  title: string;
  /** RFC 3339. */
  times: readonly string[];
  series: readonly Series[];
  /** How a value is written, with its unit. */
  format?: (value: number) => string;
  height?: number;
}) {
  const { t } = useTranslation('shared');
  const { language } = useLanguage();
  const [table, setTable] = useState(false);
  const clock = new Intl.DateTimeFormat(language === 'zh' ? 'zh-CN' : 'en', { timeStyle: 'medium' });
  const summary = t('chart.summary', { title, series: series.map(({ name }) => name).join(', '), count: times.length });
  return (
    <figure className="chart">
      <figcaption>
        <h3>{title}</h3>
        <Button size="small" variant="text" onClick={() => setTable(!table)}>
          {t(table ? 'chart.chart' : 'chart.table')}
        </Button>
      </figcaption>
      {table ? (
        <div className="chart-table" tabIndex={0} role="group" aria-label={title}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t('chart.time')}</th>
                {series.map(({ name }) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times
                .map((time, i) => (
                  <tr key={time}>
                    <th scope="row">{clock.format(new Date(time))}</th>
                    {series.map(({ name, values }) => (
                      <td key={name}>{values[i] == null ? '—' : format(values[i])}</td>
                    ))}
                  </tr>
                ))
                .reverse()}
            </tbody>
          </table>
        </div>
      ) : (
        <Suspense fallback={<Loading />}>
          <Lines label={summary} times={times} series={series} format={format} height={height} />
        </Suspense>
      )}
    </figure>
  );
}
