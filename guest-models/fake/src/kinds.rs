//! Things of a few kinds that lists are often asked of: fruits, colours, planets.

use crate::words;

/// The names of a kind, and things of it.
const KINDS: [(&str, &str); 22] = [
    (
        "fruit fruits",
        "Apple,Banana,Orange,Mango,Pear,Grape,Peach,Cherry,Kiwi,Plum,Pineapple,Strawberry",
    ),
    (
        "vegetable vegetables",
        "Carrot,Broccoli,Spinach,Potato,Onion,Pepper,Cucumber,Tomato,Cabbage,Leek,Pea,Celery",
    ),
    (
        "color colors colour colours",
        "Red,Blue,Green,Yellow,Orange,Purple,Black,White,Pink,Brown,Grey,Turquoise",
    ),
    (
        "animal animals mammal mammals",
        "Dog,Cat,Elephant,Horse,Lion,Tiger,Wolf,Bear,Rabbit,Fox,Deer,Whale",
    ),
    (
        "bird birds",
        "Eagle,Sparrow,Owl,Robin,Falcon,Swan,Heron,Crow,Penguin,Parrot,Stork,Finch",
    ),
    (
        "planet planets",
        "Mercury,Venus,Earth,Mars,Jupiter,Saturn,Uranus,Neptune",
    ),
    (
        "continent continents",
        "Africa,Antarctica,Asia,Europe,North America,Oceania,South America",
    ),
    (
        "ocean oceans",
        "Pacific Ocean,Atlantic Ocean,Indian Ocean,Southern Ocean,Arctic Ocean",
    ),
    (
        "country countries",
        "Brazil,Canada,Egypt,France,Germany,India,Japan,Kenya,Mexico,Norway,Peru,Vietnam",
    ),
    (
        "city cities",
        "Paris,Tokyo,London,Rome,Berlin,Madrid,Cairo,Lima,Oslo,Seoul,Toronto,Sydney",
    ),
    (
        "sport sports",
        "Football,Tennis,Swimming,Basketball,Cycling,Rowing,Volleyball,Hockey,Boxing,Golf,Judo,Skiing",
    ),
    (
        "flower flowers",
        "Rose,Tulip,Daisy,Lily,Sunflower,Orchid,Iris,Peony,Lavender,Violet,Poppy,Carnation",
    ),
    (
        "tree trees",
        "Oak,Pine,Maple,Birch,Willow,Beech,Cedar,Elm,Ash,Spruce,Poplar,Chestnut",
    ),
    (
        "drink drinks beverage beverages",
        "Water,Tea,Coffee,Lemonade,Milk,Orange juice,Cocoa,Soda,Smoothie,Cider,Kefir,Iced tea",
    ),
    (
        "instrument instruments",
        "Piano,Violin,Guitar,Flute,Cello,Trumpet,Drums,Clarinet,Harp,Saxophone,Oboe,Trombone",
    ),
    (
        "weekday weekdays day days",
        "Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday",
    ),
    (
        "month months",
        "January,February,March,April,May,June,July,August,September,October,November,December",
    ),
    ("season seasons", "Spring,Summer,Autumn,Winter"),
    (
        "metal metals",
        "Iron,Copper,Gold,Silver,Aluminium,Zinc,Tin,Lead,Nickel,Titanium,Platinum,Cobalt",
    ),
    (
        "element elements",
        "Hydrogen,Helium,Lithium,Carbon,Nitrogen,Oxygen,Sodium,Magnesium,Silicon,Sulfur,Iron,Copper",
    ),
    (
        "shape shapes",
        "Circle,Square,Triangle,Rectangle,Pentagon,Hexagon,Oval,Rhombus,Trapezoid,Octagon,Star,Cube",
    ),
    (
        "programming",
        "Python,JavaScript,Rust,Go,Java,C++,TypeScript,Swift,Kotlin,Ruby,Haskell,Scala",
    ),
];

/// Things of the kind that a text asks for, where that is known and there are as many.
pub(crate) fn of(said: &str, wanted: u32) -> Option<impl Iterator<Item = &'static str>> {
    let mut asked = said.split(|letter: char| !letter.is_ascii_alphabetic());
    let (_, things) = asked.find_map(|word| {
        let is_named = |(names, _): &&(&str, &str)| words::is_in(names, &words::lowered(word));
        KINDS.iter().find(is_named).filter(|_| !word.is_empty())
    })?;
    let is_enough = things.split(',').count() >= wanted as usize;
    is_enough.then(|| things.split(',').take(wanted as usize))
}
