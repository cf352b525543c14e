for (const slider of document.querySelectorAll(".player input")) {
  const sheets = document.querySelectorAll(".over-time .sheet");
  const show = () => {
    sheets.forEach((sheet, number) => sheet.classList.toggle("shown", number === Number(slider.value)));
    slider.setAttribute("aria-valuetext", sheets[slider.value].dataset.name);
  };
  slider.addEventListener("input", show);
  slider.value = sheets.length - 1;
  slider.parentElement.hidden = false;
  show();
}
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
