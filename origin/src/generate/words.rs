//! Names of the demo shop: departments, categories, collections, brands and countries.

/// A department: its name, the letters its item codes begin with, and its categories.
pub struct Department {
    /// As in "Kitchen > Mugs".
    pub name: &'static str,
    /// Three letters.
    pub code: &'static str,
    /// Its categories.
    pub categories: &'static [Category],
}

/// A category: its name, and the nouns, materials, variants and prices of its items.
pub struct Category {
    /// As in "Kitchen > Mugs".
    pub name: &'static str,
    /// "mug".
    pub noun: &'static str,
    /// "stoneware".
    pub made_of: &'static [&'static str],
    /// "large".
    pub variants: &'static [&'static str],
    /// Median price.
    pub price: f64,
}

const SIZES: &[&str] = &["small", "medium", "large"];
const CLOTHES: &[&str] = &["XS", "S", "M", "L", "XL"];
const COLOURS: &[&str] = &["sand", "slate", "moss", "rust", "ink", "ivory", "clay", "sage"];
const SETS: &[&str] = &["single", "set of 2", "set of 4", "set of 6"];
const WOODS: &[&str] = &["walnut", "oak", "beech", "acacia", "cherry", "bamboo", "ash"];
const CLAYS: &[&str] = &["stoneware", "porcelain", "earthenware", "enamel", "glass"];
const CLOTHS: &[&str] = &["linen", "cotton", "wool", "hemp", "flannel", "corduroy", "jersey"];
const METALS: &[&str] = &["brass", "steel", "copper", "iron", "aluminium"];

const fn category(
    name: &'static str,
    noun: &'static str,
    made_of: &'static [&'static str],
    variants: &'static [&'static str],
    price: f64,
) -> Category {
    Category { name, noun, made_of, variants, price }
}

/// All departments, the most visited first.
pub const DEPARTMENTS: [Department; 12] = [
    Department {
        name: "Kitchen",
        code: "kit",
        categories: &[
            category("Mugs", "mug", CLAYS, SETS, 14.0),
            category("Serving boards", "serving board", WOODS, SIZES, 38.0),
            category("Knives", "chef's knife", METALS, &["15 cm", "18 cm", "21 cm"], 65.0),
            category("Pans", "frying pan", METALS, &["20 cm", "24 cm", "28 cm"], 58.0),
            category("Storage jars", "storage jar", CLAYS, SIZES, 16.0),
        ],
    },
    Department {
        name: "Living room",
        code: "liv",
        categories: &[
            category("Cushions", "cushion", CLOTHS, COLOURS, 32.0),
            category("Throws", "throw", CLOTHS, COLOURS, 69.0),
            category("Side tables", "side table", WOODS, SIZES, 149.0),
            category("Table lamps", "table lamp", METALS, COLOURS, 85.0),
            category("Candle holders", "candle holder", METALS, SETS, 18.0),
        ],
    },
    Department {
        name: "Clothing",
        code: "clo",
        categories: &[
            category("Shirts", "shirt", CLOTHS, CLOTHES, 59.0),
            category("Trousers", "trousers", CLOTHS, CLOTHES, 79.0),
            category("Jumpers", "jumper", &["lambswool", "merino", "cotton", "alpaca"], CLOTHES, 95.0),
            category("Socks", "socks", CLOTHS, &["one pair", "3 pairs", "5 pairs"], 12.0),
        ],
    },
    Department {
        name: "Bedroom",
        code: "bed",
        categories: &[
            category("Duvet covers", "duvet cover", CLOTHS, &["single", "double", "king"], 89.0),
            category("Pillowcases", "pillowcase", CLOTHS, COLOURS, 24.0),
            category("Bedside tables", "bedside table", WOODS, COLOURS, 129.0),
            category("Blankets", "blanket", CLOTHS, COLOURS, 75.0),
        ],
    },
    Department {
        name: "Garden",
        code: "gar",
        categories: &[
            category("Planters", "planter", &["terracotta", "zinc", "cedar", "concrete"], SIZES, 34.0),
            category("Watering cans", "watering can", METALS, SIZES, 29.0),
            category("Hand tools", "hand trowel", METALS, COLOURS, 19.0),
            category("Lanterns", "lantern", METALS, SIZES, 42.0),
        ],
    },
    Department {
        name: "Children",
        code: "chi",
        categories: &[
            category(
                "Building blocks",
                "building blocks",
                WOODS,
                &["24 pieces", "50 pieces", "100 pieces"],
                35.0,
            ),
            category("Soft toys", "soft rabbit", CLOTHS, COLOURS, 22.0),
            category("Puzzles", "puzzle", WOODS, &["12 pieces", "48 pieces", "120 pieces"], 18.0),
            category("Night lights", "night light", CLAYS, COLOURS, 39.0),
        ],
    },
    Department {
        name: "Bathroom",
        code: "bat",
        categories: &[
            category("Towels", "bath towel", CLOTHS, COLOURS, 28.0),
            category("Soap", "hand soap", &["lavender", "cedar", "oat", "lemon", "sea salt"], SETS, 9.0),
            category("Bath mats", "bath mat", CLOTHS, COLOURS, 36.0),
            category("Soap dishes", "soap dish", CLAYS, COLOURS, 15.0),
        ],
    },
    Department {
        name: "Stationery",
        code: "sta",
        categories: &[
            category("Notebooks", "notebook", CLOTHS, &["ruled", "plain", "dotted"], 15.0),
            category("Pens", "fountain pen", METALS, COLOURS, 45.0),
            category("Cards", "greeting cards", &["letterpress", "pressed flower", "linocut"], SETS, 8.0),
            category("Desk trays", "desk tray", WOODS, SIZES, 33.0),
        ],
    },
    Department {
        name: "Outdoors",
        code: "out",
        categories: &[
            category(
                "Rucksacks",
                "rucksack",
                &["canvas", "waxed cotton", "nylon"],
                &["15 l", "22 l", "30 l"],
                110.0,
            ),
            category("Flasks", "flask", METALS, &["0.5 l", "0.75 l", "1 l"], 32.0),
            category("Camp lights", "camp light", METALS, COLOURS, 40.0),
            category("Picnic rugs", "picnic rug", CLOTHS, COLOURS, 55.0),
        ],
    },
    Department {
        name: "Coffee and tea",
        code: "tea",
        categories: &[
            category(
                "Coffee beans",
                "coffee beans",
                &["Brazil", "Ethiopia", "Peru", "Kenya"],
                &["250 g", "1 kg"],
                13.0,
            ),
            category(
                "Loose tea",
                "loose tea",
                &["green", "black", "white", "rooibos", "mint"],
                &["100 g", "250 g"],
                11.0,
            ),
            category("Teapots", "teapot", CLAYS, &["0.6 l", "1 l", "1.4 l"], 44.0),
            category("Coffee makers", "coffee dripper", CLAYS, &["2 cups", "4 cups"], 29.0),
        ],
    },
    Department {
        name: "Jewellery",
        code: "jew",
        categories: &[
            category("Earrings", "earrings", &["silver", "gold plated", "brass", "pearl"], COLOURS, 42.0),
            category(
                "Necklaces",
                "necklace",
                &["silver", "gold plated", "brass"],
                &["42 cm", "50 cm", "60 cm"],
                68.0,
            ),
            category("Bracelets", "bracelet", &["silver", "leather", "brass"], SIZES, 49.0),
        ],
    },
    Department {
        name: "Pets",
        code: "pet",
        categories: &[
            category("Dog beds", "dog bed", CLOTHS, SIZES, 79.0),
            category("Leads", "dog lead", &["leather", "rope", "webbing"], COLOURS, 27.0),
            category("Bowls", "pet bowl", CLAYS, SIZES, 17.0),
        ],
    },
];

/// Collections: items of one design across the categories of a department.
pub const COLLECTIONS: [&str; 48] = [
    "Alder",
    "Birk",
    "Calder",
    "Dunmore",
    "Elva",
    "Fjord",
    "Glen",
    "Harbour",
    "Isla",
    "Juniper",
    "Kelda",
    "Lowen",
    "Mira",
    "Nordby",
    "Orla",
    "Pembury",
    "Quill",
    "Rowan",
    "Skye",
    "Tamar",
    "Ulma",
    "Vester",
    "Wren",
    "Yarrow",
    "Amble",
    "Bracken",
    "Coast",
    "Dale",
    "Ember",
    "Fern",
    "Gale",
    "Heath",
    "Inlet",
    "Larch",
    "Meadow",
    "Nook",
    "Otter",
    "Pebble",
    "Reed",
    "Saltmarsh",
    "Thistle",
    "Umber",
    "Vale",
    "Willow",
    "Aster",
    "Borrow",
    "Clover",
    "Drift",
];

/// Brands; a department has eight of them.
pub const BRANDS: [&str; 32] = [
    "Hallam & Roe",
    "Nordlys Works",
    "Petrichor",
    "Maison Ardel",
    "Ostwald",
    "Tern & Tide",
    "Lumenfeld",
    "Brae House",
    "Casa Olmo",
    "Vinter",
    "Oakhart",
    "Studio Kvist",
    "Merrow",
    "Falk & Finch",
    "Atelier Noué",
    "Greyloch",
    "Sundby",
    "Palazzo Verde",
    "Thornbury Mill",
    "Weft",
    "Kiln Nine",
    "Aubade",
    "Rookwood",
    "Lindqvist Bros",
    "Marlow Street",
    "Ferrum",
    "Hedgerow",
    "Blau & Sohn",
    "Solène",
    "Copper Lane",
    "Wildmark",
    "Tidewater",
];

/// Countries with their share of the visits and their offset from UTC in hours.
pub const COUNTRIES: [(&str, f64, i64); 12] = [
    ("gb", 0.30, 0),
    ("us", 0.20, -6),
    ("de", 0.12, 1),
    ("fr", 0.09, 1),
    ("nl", 0.06, 1),
    ("es", 0.05, 1),
    ("it", 0.05, 1),
    ("se", 0.04, 1),
    ("pl", 0.03, 1),
    ("ie", 0.03, 0),
    ("au", 0.02, 10),
    ("jp", 0.01, 9),
];
