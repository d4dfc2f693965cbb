// Grafana's table with its transformations `merge` and `organize`, as a panel of Perses: Perses' own table can color cells
// only by one rule for all columns.
import React, { useMemo, useState } from 'react';
import { Table } from '@perses-dev/components';
import { formatValue } from '@perses-dev/core';

export const GrafanaTable = {
  PanelComponent,
  supportedQueryTypes: ['TimeSeriesQuery'],
  queryOptions: { mode: 'instant' },
  createInitialOptions: () => ({}),
};

export const module = {
  kind: 'PluginModule',
  metadata: { name: 'grafana-table', version: '1.0.0' },
  spec: { plugins: [{ kind: 'Panel', spec: { name: 'GrafanaTable', display: { name: 'Table' } } }] },
};

function PanelComponent({ spec, queryResults, contentDimensions }) {
  const [sorting, setSorting] = useState(spec.sort ? [{ id: spec.sort.displayName, desc: spec.sort.desc }] : []);
  // Without it, every drawing would be new data, which causes another drawing.
  const content = useMemo(() => contents(spec, queryResults), [spec, queryResults]);
  if (!contentDimensions) return null;
  return (
    <Table
      {...content}
      sorting={sorting}
      onSortingChange={setSorting}
      density="compact"
      defaultColumnWidth="auto"
      height={contentDimensions.height}
      width={contentDimensions.width}
    />
  );
}

function contents(spec, queryResults) {
  const rows = merge(queryResults.map(({ data }) => data.series), spec);
  const position = (field) => spec.order[field] ?? Infinity;
  const fields = [...new Set(rows.flatMap(Object.keys))].sort((a, b) => position(a) - position(b));
  const name = (field) => spec.names[field] ?? field;
  const columns = fields.map((field) => ({
    accessorKey: name(field),
    header: name(field),
    enableSorting: true,
    width: spec.columns[name(field)]?.width ?? 'auto',
    align: spec.columns[name(field)]?.format ? 'right' : 'left',
  }));
  const data = rows.map((row) => Object.fromEntries(fields.map((field) => [name(field), row[field]])));
  const cells = data.flatMap((row, index) =>
    Object.entries(row).map(([column, value]) => [`${index}_${column}`, cell(spec.columns[column], value)]),
  );
  return { data, columns, cellConfigs: Object.fromEntries(cells) };
}

// One row for all series with the same labels. The value of a query has the name that Grafana gives it.
function merge(results, { refIds, hidden }) {
  const rows = new Map();
  results.forEach((series, index) => {
    const name = results.length === 1 ? 'Value' : `Value #${refIds[index]}`;
    for (const { labels, values } of series) {
      const visible = Object.entries(labels ?? {}).filter(([label]) => !hidden.includes(label)).sort();
      const key = JSON.stringify(visible);
      rows.set(key, { ...(rows.get(key) ?? Object.fromEntries(visible)), [name]: values[0]?.[1] });
    }
  });
  return [...rows.values()];
}

function cell(column, value) {
  const word = column?.words[value];
  if (word) return { text: word.text, textColor: '#FFFFFF', backgroundColor: word.color };
  if (value === undefined) return { text: '' };
  const text = column?.format && Number.isFinite(value) ? formatValue(value, column.format) : String(value);
  const step = column?.thresholds?.steps.findLast((one) => value >= one.value);
  return step ? { text, textColor: '#FFFFFF', backgroundColor: step.color } : { text };
}
