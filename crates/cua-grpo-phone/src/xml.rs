//! The screen as `uiautomator dump` writes it.

use crate::{
    state::{State, Window},
    ui::{Node, Scene},
};
use std::fmt::Write;

/// The nodes of the active window as one line of XML.
pub fn dump(state: &State, scene: &Scene) -> String {
    let window = if state.prompt.is_some() {
        Window::System
    } else {
        state.front_window()
    };
    let mut out = String::from("<?xml version='1.0' encoding='UTF-8' standalone='yes' ?><hierarchy rotation=\"0\">");
    let first = if state.prompt.is_some() || window != Window::System {
        scene.modal.min(scene.nodes.len())
    } else {
        0
    };
    let shown: Vec<usize> = (first..scene.nodes.len())
        .filter(|index| {
            let node = &scene.nodes[*index];
            node.window == window && (node.window != Window::System || node.package.contains("permissioncontroller"))
        })
        .collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); scene.nodes.len()];
    let mut roots = Vec::new();
    for index in &shown {
        match scene.nodes[*index].parent.filter(|parent| shown.contains(parent)) {
            Some(parent) => children[parent].push(*index),
            None => roots.push(*index),
        }
    }
    for (place, root) in roots.iter().enumerate() {
        write_node(&mut out, scene, &children, *root, place);
    }
    out.push_str("</hierarchy>");
    out
}

fn write_node(out: &mut String, scene: &Scene, children: &[Vec<usize>], index: usize, place: usize) {
    let node = &scene.nodes[index];
    let clickable = node.clickable();
    if clickable && node.text.is_empty() && node.desc.is_empty() && children[index].is_empty() {
        out.push_str("<node NAF=\"true\" ");
    } else {
        out.push_str("<node ");
    }
    let [left, top, right, bottom] = node.rect.pixels();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "index=\"{place}\" text=\"{}\" resource-id=\"{}\" class=\"{}\" package=\"{}\" content-desc=\"{}\" \
         checkable=\"{}\" checked=\"{}\" clickable=\"{clickable}\" enabled=\"{}\" focusable=\"{}\" focused=\"{}\" \
         scrollable=\"{}\" long-clickable=\"{}\" password=\"{}\" selected=\"{}\" bounds=\"[{left},{top}][{right},{bottom}]\"",
        escape(&node.text),
        escape(&node.id),
        node.class,
        node.package,
        escape(&node.desc),
        node.checkable,
        node.checked,
        !node.disabled,
        clickable || node.slide.is_some(),
        node.focused,
        scrolls(node),
        node.long.is_some(),
        node.password,
        node.selected,
    );
    if children[index].is_empty() {
        out.push_str(" />");
        return;
    }
    out.push('>');
    for (place, child) in children[index].iter().enumerate() {
        write_node(out, scene, children, *child, place);
    }
    out.push_str("</node>");
}

fn scrolls(node: &Node) -> bool {
    node.scroll.as_ref().is_some_and(|scroll| scroll.max > 0.0)
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            control if control.is_control() => out.push('?'),
            other => out.push(other),
        }
    }
    out
}
