"use strict";
// One stop of the Tab key for the whole gallery; arrows move inside it, Enter opens a picture, arrows turn the pages.
const shots = [...document.querySelectorAll(".shot")];
const viewer = document.getElementById("viewer");
if (shots.length && viewer) {
  const picture = viewer.querySelector("img");
  const caption = viewer.querySelector("p");
  let current = 0;
  let shown = 0;
  const choose = (wanted) => {
    current = Math.min(Math.max(wanted, 0), shots.length - 1);
    shots.forEach((shot, place) => { shot.tabIndex = place === current ? 0 : -1; });
  };
  const show = (wanted) => {
    choose(wanted);
    shown = current;
    const shot = shots[shown];
    picture.src = shot.querySelector("img").src;
    picture.alt = shot.querySelector("img").alt;
    caption.textContent = `${shown + 1} of ${shots.length}: ${shot.querySelector("span").textContent.replace(/\s+/g, " ").trim()}`;
  };
  const columns = () => {
    const top = shots[0].getBoundingClientRect().top;
    return shots.filter((shot) => Math.abs(shot.getBoundingClientRect().top - top) < 2).length;
  };
  const aim = (key, step) => ({
    ArrowRight: current + 1, ArrowLeft: current - 1, ArrowDown: current + step, ArrowUp: current - step,
    Home: 0, End: shots.length - 1,
  })[key];
  choose(0);
  shots.forEach((shot, place) => {
    shot.addEventListener("click", () => { show(place); viewer.showModal(); });
    shot.addEventListener("focus", () => choose(place));
    shot.addEventListener("keydown", (event) => {
      const wanted = aim(event.key, columns());
      if (wanted === undefined) return;
      event.preventDefault();
      if (wanted >= 0 && wanted < shots.length) shots[wanted].focus();
    });
  });
  viewer.addEventListener("keydown", (event) => {
    const wanted = aim(event.key, 1);
    if (wanted === undefined) return;
    event.preventDefault();
    show(wanted);
  });
  viewer.querySelector(".previous").addEventListener("click", () => show(current - 1));
  viewer.querySelector(".next").addEventListener("click", () => show(current + 1));
  viewer.querySelector(".close").addEventListener("click", () => viewer.close());
  // The browser first gives the focus back to where it was, which chooses that picture.
  viewer.addEventListener("close", () => shots[shown].focus());
}
