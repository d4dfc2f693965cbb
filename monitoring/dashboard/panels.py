"""The kinds of panels: numbers, charts and tables, all with the same looks."""

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
GOOD, WARNING, BAD, NEUTRAL = "green", "orange", "red", "blue"
# Colors of lines with a meaning; a line by gateway has a color of the palette.
LINES = {"good": "#37872D", "other": "#1F60C4", "warning": "#E0752D", "bad": "#C4162A", "quiet": "#8E8E8E"}


def number(title, width, expr, description, unit="short", decimals=0, steps=()):
    """One number. `steps` are thresholds: pairs of the lowest value and its color; below the first it is green."""
    panel = common_options(stat.Panel(), title, width, 4, description)
    return (
        panel.with_target(query("A", expr).instant())
        .unit(unit)
        .decimals(decimals)
        .thresholds(thresholds(steps) if steps is not None else thresholds((), NEUTRAL))
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.BACKGROUND_SOLID)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def chart(title, width, height, lines, description, unit="short", stack=False, right=False):
    """Lines over time. `lines` are tuples of expression, legend and, optionally, a color of LINES."""
    panel = common_options(timeseries.Panel(), title, width, height, description)
    legend = common_builders.VizLegendOptions().show_legend(True).calcs(["lastNotNull"])
    legend.display_mode(common.LegendDisplayMode.LIST)
    # A long legend scrolls at the right; below the lines, it leaves no room for them.
    legend.placement(common.LegendPlacement.RIGHT if right else common.LegendPlacement.BOTTOM)
    panel.unit(unit).min(0).legend(legend).line_width(2).fill_opacity(40 if stack else 0)
    panel.tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    if stack:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    for ref, (expr, text, *color) in zip("ABCDEFGH", lines):
        panel.with_target(query(ref, expr).range().legend_format(text))
        if color:
            fixed = {"mode": "fixed", "fixedColor": LINES[color[0]]}
            panel.override_by_query(ref, [dashboard.DynamicConfigValue("color", fixed)])
    return panel


def rows(title, width, height, queries, names, description, overrides=(), sort=None, hidden=()):
    """A table. Several queries are merged by the labels that they share; `names` has the heading of each column."""
    panel = common_options(table.Panel(), title, width, height, description)
    for ref, expr in zip("ABCDEFGHIJKL", queries):
        panel.with_target(query(ref, expr).instant().format(PromQueryFormat.TABLE))
    if len(queries) > 1:
        panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    organize = {
        "excludeByName": {name: True for name in ("Time", *hidden)},
        "indexByName": {name: index for index, name in enumerate(names)},
        "renameByName": names,
    }
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=organize))
    for column, properties in overrides:
        values = [dashboard.DynamicConfigValue(name, value) for name, value in properties.items()]
        panel.override_by_name(column, values)
    if sort:
        column, descending = sort
        panel.sort_by([common_builders.TableSortByFieldState().display_name(column).desc(descending)])
    return panel.cell_height(common.TableCellHeight.SM).show_header(True)


def in_unit(unit, decimals=0, steps=None):
    """Properties of a column with numbers; `steps` color its cells."""
    properties = {"unit": unit, "decimals": decimals}
    if steps:
        properties["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
        properties["thresholds"] = {"mode": "absolute", "steps": [step.to_json() for step in levels(steps)]}
    return properties


def in_words(words):
    """Properties of a column whose values have names: a map from value to text and color."""
    options = {value: {"text": text, "color": color} for value, (text, color) in words.items()}
    return {
        "mappings": [{"type": "value", "options": options}],
        "custom.cellOptions": {"type": "color-background", "mode": "basic"},
    }


def common_options(panel, title, width, height, description):
    return panel.title(title).span(width).height(height).description(description).datasource(DATASOURCE)


def query(ref, expr):
    return prometheus.Dataquery().ref_id(ref).expr(" ".join(expr.split())).datasource(DATASOURCE)


def thresholds(steps, base=GOOD):
    return dashboard_builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(levels(steps, base))


def levels(steps, base=GOOD):
    return [dashboard.Threshold(None, base)] + [dashboard.Threshold(value, color) for value, color in steps]
