// Converts a Grafana dashboard to one of Perses. Only what pushring.json uses is known; all else is an error, so that the
// preview never shows less than the file says.

// Grafana's named colors, as in its light theme.
const COLORS = { green: '#37872D', orange: '#E0752D', red: '#C4162A', blue: '#1F60C4' };

const UNITS = {
  short: { unit: 'decimal', shortValues: true },
  none: { unit: 'decimal', shortValues: false },
  percentunit: { unit: 'percent-decimal' },
  reqps: { unit: 'decimal' },
  bytes: { unit: 'bytes' },
  s: { unit: 'seconds' },
};

const KINDS = { timeseries, stat, table };

// `chosen` has the values of variables; a variable without one is `All`.
export function dashboard(grafana, chosen) {
  const values = grafana.templating.list.map(({ name }) => [name, chosen.get(`var-${name}`) ?? '.*']);
  const fill = (expr) => values.reduce((text, [name, value]) => text.replaceAll(`"$${name}"`, `"${value}"`), expr);
  const panels = {};
  // Panels above the first row are in a group without a title.
  const groups = [{ items: [] }];
  for (const panel of grafana.panels) {
    if (panel.type === 'row') {
      groups.push({ title: panel.title, top: panel.gridPos.y + 1, items: [] });
      continue;
    }
    const key = `panel${panel.id}`;
    panels[key] = convertPanel(panel, fill);
    const group = groups.at(-1);
    const { x, y, w, h } = panel.gridPos;
    const place = { x, y: y - (group.top ?? 0), width: w, height: h };
    group.items.push({ ...place, content: { $ref: `#/spec/panels/${key}` } });
  }
  const layouts = groups.map(({ title, items }) => ({
    kind: 'Grid',
    spec: { ...(title && { display: { title, collapse: { open: true } } }), items },
  }));
  const duration = grafana.time.from.replace('now-', '');
  const times = { createdAt: '2000-01-01T00:00:00Z', updatedAt: '2000-01-01T00:00:00Z', version: 0 };
  return {
    kind: 'Dashboard',
    metadata: { name: grafana.uid, project: 'preview', ...times },
    spec: { display: { name: grafana.title }, duration, refreshInterval: grafana.refresh, variables: [], panels, layouts },
  };
}

function convertPanel(panel, fill) {
  const kind = known(KINDS, panel.type, 'type of panel');
  return {
    kind: 'Panel',
    spec: {
      display: { name: panel.title, description: panel.description },
      plugin: kind(panel),
      queries: panel.targets.map((target) => query(target, fill)),
    },
  };
}

function query({ expr, legendFormat }, fill) {
  const spec = { query: fill(expr), seriesNameFormat: legendFormat };
  return { kind: 'TimeSeriesQuery', spec: { plugin: { kind: 'PrometheusTimeSeriesQuery', spec } } };
}

function stat({ fieldConfig: { defaults } }) {
  const spec = {
    calculation: 'last-number',
    format: format(defaults.unit, defaults.decimals),
    thresholds: thresholds(defaults.thresholds),
  };
  return { kind: 'StatChart', spec };
}

function timeseries({ fieldConfig: { defaults, overrides }, options, targets }) {
  const querySettings = overrides.map(({ matcher, properties }) => {
    const [{ id, value }] = properties;
    if (matcher.id !== 'byFrameRefID' || id !== 'color') throw Error(`unknown override ${matcher.id} ${id}`);
    const queryIndex = targets.findIndex(({ refId }) => refId === matcher.options);
    return { queryIndex, colorMode: 'fixed-single', colorValue: value.fixedColor };
  });
  const spec = {
    legend: { position: options.legend.placement, mode: options.legend.displayMode },
    yAxis: { min: defaults.min, format: { ...format(defaults.unit), shortValues: true } },
    visual: {
      lineWidth: defaults.custom.lineWidth,
      areaOpacity: (defaults.custom.fillOpacity ?? 0) / 100,
      palette: { mode: 'categorical' },
      stack: defaults.custom.stacking?.mode === 'normal' ? 'all' : 'none',
    },
    querySettings,
  };
  return { kind: 'TimeSeriesChart', spec };
}

function table({ fieldConfig, transformations, targets, options }) {
  const { options: columns } = transformations.find(({ id }) => id === 'organize');
  const properties = fieldConfig.overrides.map(({ matcher, properties }) => {
    if (matcher.id !== 'byName') throw Error(`unknown override ${matcher.id}`);
    return [matcher.options, Object.fromEntries(properties.map(({ id, value }) => [id, value]))];
  });
  const column = ([name, { unit, decimals, thresholds: levels, mappings, 'custom.width': width }]) => {
    const words = mappings?.flatMap(({ options }) => Object.entries(options)) ?? [];
    return [name, {
      width,
      format: unit && format(unit, decimals),
      thresholds: levels && thresholds(levels),
      words: Object.fromEntries(words.map(([value, { text, color }]) => [value, { text, color: paint(color) }])),
    }];
  };
  const spec = {
    refIds: targets.map(({ refId }) => refId),
    hidden: Object.keys(columns.excludeByName),
    names: columns.renameByName,
    order: columns.indexByName,
    columns: Object.fromEntries(properties.map(column)),
    sort: options.sortBy[0],
  };
  return { kind: 'GrafanaTable', spec };
}

function thresholds({ steps: [first, ...rest] }) {
  return {
    defaultColor: paint(first.color),
    steps: rest.map(({ value, color }) => ({ value, color: paint(color) })),
  };
}

function format(unit, decimals) {
  return { ...known(UNITS, unit, 'unit'), ...(decimals !== undefined && { decimalPlaces: decimals }) };
}

function paint(name) {
  return known(COLORS, name, 'color');
}

function known(map, key, what) {
  if (!(key in map)) throw Error(`the preview does not know the ${what} ${key}`);
  return map[key];
}
