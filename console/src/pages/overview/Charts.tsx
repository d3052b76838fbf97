import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';
import { Button } from 'tdesign-react';
import { useApiQuery, type Reply } from '@/api/client';
import { Chart, Loading, ProblemNote, type Series } from '@/shared';

type Point = Reply<'get', '/v1/overview/series'>['points'][number];
type Count = 'refreshes' | 'refresh_failures' | 'pushes' | 'pushes_refused' | 'deliveries' | 'delivery_failures' | 'gateway' | 'gateway_failures' | 'wechat_calls' | 'wechat_refusals';

const spans = [60, 1440] as const;

/** How the last hour or day went, on this replica. */
export default function Charts() {
  const { t } = useTranslation('overview');
  const [search, setSearch] = useSearchParams();
  const minutes = search.get('span') === '1440' ? 1440 : 60;
  const read = useApiQuery('/v1/overview/series', { query: { minutes } }, { refetchInterval: minutes === 60 ? 10_000 : 60_000, keepPrevious: true });
  return (
    <section aria-labelledby="charts" className="stack">
      <div className="row">
        <h2 id="charts">{t('charts.title')}</h2>
        <div className="row" role="group" aria-label={t('charts.span')}>
          {spans.map((span) => (
            <Button
              key={span}
              size="small"
              variant={span === minutes ? 'base' : 'outline'}
              theme={span === minutes ? 'primary' : 'default'}
              aria-pressed={span === minutes}
              onClick={() => setSearch(span === 60 ? {} : { span: String(span) }, { replace: true })}
            >
              {t(`charts.minutes${span}`)}
            </Button>
          ))}
        </div>
      </div>
      <p className="hint">{t('charts.note')}</p>
      <ProblemNote error={read.error} retry={() => void read.refetch()} />
      {!read.data && !read.error && <Loading />}
      {read.data && <Drawn points={read.data.points} step={read.data.step_seconds} />}
    </section>
  );
}

function Drawn({ points, step }: { points: Point[]; step: number }) {
  const { t } = useTranslation('overview');
  const times = useMemo(() => points.map(({ at }) => at), [points]);
  const charts = useMemo(() => {
    const rate = (name: string, count: Count): Series => ({ name, values: points.map((point) => (point[count] * 60) / step) });
    // No time was measured where nothing was done.
    const time = (name: string, ms: 'refresh_ms_p50' | 'refresh_ms_p95' | 'push_ms_p95' | 'gateway_ms_p95', of: Count): Series => ({
      name,
      values: points.map((point) => (point[of] > 0 ? point[ms] : null)),
    });
    const level = (name: string, count: 'pending' | 'dead'): Series => ({ name, values: points.map((point) => point[count]) });
    return [
      { key: 'refresh', unit: 'rate', series: [rate(t('charts.all'), 'refreshes'), rate(t('charts.failed'), 'refresh_failures')] },
      { key: 'latency', unit: 'ms', series: [time(t('charts.p50'), 'refresh_ms_p50', 'refreshes'), time(t('charts.p95'), 'refresh_ms_p95', 'refreshes')] },
      { key: 'pushes', unit: 'rate', series: [rate(t('charts.all'), 'pushes'), rate(t('charts.refused'), 'pushes_refused')] },
      { key: 'deliveries', unit: 'rate', series: [rate(t('charts.all'), 'deliveries'), rate(t('charts.failed'), 'delivery_failures')] },
      { key: 'backlog', unit: 'count', series: [level(t('charts.pending'), 'pending'), level(t('charts.dead'), 'dead')] },
      { key: 'gateway', unit: 'rate', series: [rate(t('charts.all'), 'gateway'), rate(t('charts.failed'), 'gateway_failures')] },
      { key: 'wechat', unit: 'rate', series: [rate(t('charts.all'), 'wechat_calls'), rate(t('charts.refused'), 'wechat_refusals')] },
      { key: 'times', unit: 'ms', series: [time(t('charts.pushTime'), 'push_ms_p95', 'pushes'), time(t('charts.gatewayTime'), 'gateway_ms_p95', 'gateway')] },
    ] as const;
  }, [points, step, t]);
  const format = useMemo(
    () => ({
      rate: (value: number) => String(round(value)),
      ms: (value: number) => (value < 10_000 ? t('charts.ms', { value: round(value) }) : t('charts.s', { value: round(value / 1_000) })),
      count: (value: number) => String(value),
    }),
    [t],
  );
  return (
    <div className="charts">
      {charts.map(({ key, unit, series }) => (
        <Chart key={key} title={t(`charts.of.${key}`)} times={times} series={series} format={format[unit]} height={200} />
      ))}
    </div>
  );
}

const round = (value: number) => Math.round(value * 10) / 10;
