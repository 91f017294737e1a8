// Light or dark, before anything is drawn: as it was chosen, else as the system has it.
(() => {
  const kept = localStorage.getItem("archgw-theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
})();
