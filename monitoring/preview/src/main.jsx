// A page with monitoring/grafana/pushring.json over the Prometheus of ?prometheus=URL. Variables are chosen as in Grafana's
// addresses: &var-gateway=10.0.0.1:9091.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { CssBaseline, ThemeProvider } from '@mui/material';
import { ChartsProvider, SnackbarProvider, generateChartsTheme, getTheme } from '@perses-dev/components';
import { ViewDashboard } from '@perses-dev/dashboards';
import { PluginRegistry, ValidationProvider, dynamicImportPluginLoader } from '@perses-dev/plugin-system';
import * as prometheus from '@perses-dev/prometheus-plugin';
import * as stat from '@perses-dev/stat-chart-plugin';
import * as timeseries from '@perses-dev/timeseries-chart-plugin';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { BrowserRouter } from 'react-router-dom';
import { QueryParamProvider } from 'use-query-params';
import { ReactRouter6Adapter } from 'use-query-params/adapters/react-router-6';
import { dashboard } from './convert.js';
import * as table from './table.jsx';

const parameters = new URLSearchParams(location.search);
const url = parameters.get('prometheus') ?? 'http://127.0.0.1:9090';
const file = await (await fetch('pushring.json')).json();
const theme = getTheme('light');
const charts = generateChartsTheme(theme, { echartsTheme: {} });
const client = new QueryClient({ defaultOptions: { queries: { refetchOnWindowFocus: false, retry: 0 } } });

const plugin = (resource, module) => ({ resource, importPlugin: () => Promise.resolve(module) });
const loader = dynamicImportPluginLoader([
  ...[prometheus, stat, timeseries].map((module) => plugin(module.getPluginModule(), module)),
  plugin(table.module, table),
]);

const source = {
  kind: 'GlobalDatasource',
  metadata: { name: 'prometheus' },
  spec: {
    default: true,
    plugin: { kind: 'PrometheusDatasource', spec: { directUrl: url, scrapeInterval: '15s' } },
  },
};
const datasources = {
  buildProxyUrl: () => url,
  getDatasource: async () => undefined,
  getGlobalDatasource: async () => source,
  listDatasources: async () => [],
  listGlobalDatasources: async () => [source],
};

const title = (
  <span>
    <b>{file.title}</b> · a preview of <code>monitoring/grafana/pushring.json</code> with the components of Perses, not Grafana;
    Prometheus: <code>{url}</code>
  </span>
);

const view = (
  <ViewDashboard
    dashboardResource={dashboard(file, parameters)}
    datasourceApi={datasources}
    dashboardTitleComponent={title}
    isReadonly={true}
    isVariableEnabled={false}
    isDatasourceEnabled={false}
    isInitialVariableSticky={false}
  />
);

createRoot(document.getElementById('root')).render(
  <BrowserRouter>
    <QueryParamProvider adapter={ReactRouter6Adapter}>
      <QueryClientProvider client={client}>
        <ThemeProvider theme={theme}>
          <CssBaseline />
          <ChartsProvider chartsTheme={charts}>
            <SnackbarProvider>
              <PluginRegistry
                pluginLoader={loader}
                defaultPluginKinds={{ Panel: 'TimeSeriesChart', TimeSeriesQuery: 'PrometheusTimeSeriesQuery' }}
              >
                <ValidationProvider>{view}</ValidationProvider>
              </PluginRegistry>
            </SnackbarProvider>
          </ChartsProvider>
        </ThemeProvider>
      </QueryClientProvider>
    </QueryParamProvider>
  </BrowserRouter>,
);
