//! The ring with its shares, and the gateways.

use std::fmt::Write;

use maud::{Markup, html};
use pushring_router::Router;

use super::layout::{ago, count, thousands, utc};
use super::mark::Level;
use super::query::PageQuery;
use super::text::{short, shown};
use crate::command::ring_svg::{self, CENTER, band, owners};
use crate::command::serve::view::{FleetView, GatewayState, GatewayView};
use crate::output;

/// Radii of the shares, and of the ring itself.
const SHARES: (f64, f64) = (150.0, 214.0);
const RING: (f64, f64) = (222.0, 248.0);
/// Colors of few members, which a light and a dark page show equally well.
const COLORS: [&str; 8] =
    ["#4e86c0", "#ee9a3d", "#57a866", "#d9605f", "#9a76b8", "#5fb3b3", "#d3b440", "#a37c66"];

/// Draws the ring, and the share of each member as one arc inside. It has no text, because the names are next to it, and
/// no background, because there is a light and a dark page.
pub(super) fn ring(router: &Router) -> String {
    let members = &router.config().members;
    let index = |name: &str| members.iter().position(|member| member.name == name);
    let steps = owners(router, |name| index(name).map(|index| color(index, members.len())));
    let mut sorted = steps.clone();
    // In the order of the members; hues in the text form do not sort so.
    let order: Vec<_> = (0..members.len()).map(|index| Some(color(index, members.len()))).collect();
    sorted.sort_by_key(|color| order.iter().position(|known| known == color));
    let size = 2.0 * CENTER;
    let mut svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\">\n");
    band(&mut svg, RING, &steps);
    band(&mut svg, SHARES, &sorted);
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "</svg>");
    svg
}

/// Shows the ring and the gateways next to the groups.
pub(super) fn aside(view: &FleetView) -> Markup {
    html! {
        aside aria-labelledby="ring" {
            h2 #ring { "Ring" }
            @if !view.fleet.router.config().members.is_empty() { (picture(view)) }
            div.scroll tabindex="0" role="region" aria-label="Gateways" {
                table.gateways {
                    thead { tr { th scope="col" { "Gateway" } th.number scope="col" { "Share" } th.number scope="col" { "Groups" } } }
                    tbody {
                        @for (index, gateway) in view.gateways.iter().enumerate() {
                            tr {
                                th scope="row" {
                                    (swatch(view, index))
                                    a href=(PageQuery::of_gateway(&gateway.name).href()) { (short(&gateway.name)) }
                                    @if gateway.state != GatewayState::Up { " " (state(gateway)) }
                                }
                                td.number { (share(view, index)) }
                                td.number { (groups(gateway)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Shows everything about the ring and the gateways.
pub(super) fn section(view: &FleetView) -> Markup {
    let config = view.fleet.router.config();
    html! {
        section aria-labelledby="gateways" {
            h2 #gateways { (count(view.gateways.len(), "gateway")) }
            div.ringed {
                @if !config.members.is_empty() { (picture(view)) }
                div.scroll tabindex="0" role="region" aria-label="Gateways" {
                    table.gateways.full {
                        thead { tr {
                            @for column in ["Gateway", "Address", "State"] { th scope="col" { (column) } }
                            @for column in ["Weight", "Share", "Groups", "Answer"] { th.number scope="col" { (column) } }
                            th scope="col" { "Started" }
                        } }
                        tbody {
                            @for (index, gateway) in view.gateways.iter().enumerate() {
                                tr {
                                    th scope="row" { (swatch(view, index)) (shown(&gateway.name)) }
                                    td { (shown(&gateway.address)) }
                                    td { (state(gateway)) }
                                    td.number { @match config.members.get(index) { Some(member) => (member.weight), None => "–" } }
                                    td.number { (share(view, index)) }
                                    td.number { (groups(gateway)) }
                                    td.number { (gateway.took.as_millis()) " ms" }
                                    td { @match gateway.started {
                                        Some(started) => { (utc(started)) ", " (ago(view, started)) }
                                        None => "unknown",
                                    } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn picture(view: &FleetView) -> Markup {
    let members = count(view.fleet.router.config().members.len(), "gateway");
    // The digest is in the address, so that a browser never shows the picture of another ring.
    let address = format!("static/ring.svg?{}", view.fleet.router.digest());
    let alt = format!("The ring, and the shares of {members}, as in the table");
    html! { img.ring src=(address) alt=(alt) width="260" height="260"; }
}

fn swatch(view: &FleetView, index: usize) -> Markup {
    let of = view.fleet.router.config().members.len();
    html! {
        svg.swatch width="12" height="12" aria-hidden="true" {
            @if index < of { rect width="12" height="12" rx="3" fill=(color(index, of)) {} }
            @else { rect x="1" y="1" width="10" height="10" rx="3" fill="none" stroke="currentColor" {} }
        }
    }
}

fn color(index: usize, of: usize) -> String {
    let few = COLORS.get(index).filter(|_| of <= COLORS.len());
    few.map_or_else(|| ring_svg::color(index, of), |color| (*color).to_owned())
}

fn state(gateway: &GatewayView) -> Markup {
    let (level, text) = match &gateway.state {
        GatewayState::Up => (Level::Good, "up"),
        GatewayState::Poisoned(_) => (Level::Error, "poisoned"),
        GatewayState::Down(_) => (Level::Error, "down"),
    };
    html! {
        span class={ "mark " (level.class()) } { (text) }
        @if !gateway.on_ring { " " span.mark.note { "not on the ring" } }
    }
}

fn share(view: &FleetView, index: usize) -> String {
    view.fleet
        .router
        .ring()
        .shares()
        .get(index)
        .map_or_else(|| "–".to_owned(), |share| output::percent(*share))
}

fn groups(gateway: &GatewayView) -> String {
    match gateway.state {
        GatewayState::Down(_) => "?".to_owned(),
        _ => thousands(gateway.groups),
    }
}
