for (const button of document.querySelectorAll("[data-filter]")) {
  button.addEventListener("click", () => {
    const wanted = button.dataset.filter;
    for (const other of document.querySelectorAll("[data-filter]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    for (const card of document.querySelectorAll("#episodes .episode")) {
      const shown = wanted === "all" || card.dataset.state === wanted || card.dataset[wanted] === "true";
      card.hidden = !shown;
    }
  });
}
