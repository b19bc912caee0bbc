//! Names and texts that phones are filled with.

/// First names.
pub const FIRST: [&str; 40] = [
    "Alice", "Omar", "Priya", "Jonas", "Mei", "Carlos", "Fatima", "Lukas", "Nora", "Tom", "Hannah", "Diego", "Aisha",
    "Peter", "Sofia", "Yuki", "Elena", "Marcus", "Ines", "David", "Grace", "Ravi", "Emma", "Ben", "Chloe", "Ivan",
    "Lena", "Samuel", "Zoe", "Hugo", "Maya", "Felix", "Clara", "Noah", "Amira", "Oscar", "Julia", "Kofi", "Tara",
    "Leo",
];
/// Last names.
pub const LAST: [&str; 40] = [
    "Bennett", "Hassan", "Sharma", "Weber", "Lin", "Romero", "Khan", "Novak", "Larsen", "Walsh", "Schmidt", "Torres",
    "Diallo", "Fischer", "Rossi", "Tanaka", "Petrova", "Reed", "Costa", "Cohen", "Okafor", "Patel", "Clarke", "Meyer",
    "Dubois", "Sokolov", "Vogel", "Adeyemi", "Moreau", "Silva", "Jensen", "Huber", "Lopez", "Murphy", "Haddad",
    "Nilsson", "Kowalski", "Mensah", "Quinn", "Marino",
];
/// Companies.
pub const COMPANIES: [&str; 8] = [
    "",
    "",
    "",
    "Northwind Studio",
    "Harbor Clinic",
    "Blue Oak Bakery",
    "Linden School",
    "Orbit Labs",
];
/// Names of wireless networks.
pub const NETWORKS: [&str; 12] = [
    "AndroidWifi",
    "Maple House",
    "FRITZ 7590",
    "CoffeeCorner",
    "NETGEAR42",
    "Skyline-5G",
    "Library_Guest",
    "TP-Link_9F3A",
    "Studio 12",
    "Harbor Office",
    "PixelNet",
    "HomeBox-2C",
];
/// Conversations: lines in turn, the other side begins.
pub const TALKS: [&[&str]; 14] = [
    &[
        "Are we still on for lunch tomorrow?",
        "Yes, 12:30 at the corner place",
        "Great, see you there",
    ],
    &["The parcel is with the neighbour on the second floor"],
    &[
        "Can you send me the address again?",
        "14 Orchard Lane, second door",
        "Thanks!",
    ],
    &["Happy birthday! Hope you have a great day", "Thank you so much"],
    &[
        "Train is late, I will be there at 18:40",
        "No problem, I'll wait at platform 3",
    ],
    &[
        "Did you watch the match yesterday?",
        "Only the second half",
        "You missed the best goal",
    ],
    &["Don't forget the milk please", "Already in the bag"],
    &["Your appointment on Thursday at 9:15 is confirmed. Reply STOP to opt out."],
    &["Photos from the hike are in the shared folder", "They look amazing"],
    &[
        "Could you water the plants on Friday?",
        "Sure, I still have the key",
        "You're the best",
    ],
    &["The meeting moved to room 204", "Thanks for letting me know"],
    &["I found your blue scarf in the car"],
    &[
        "Do you have the recipe for the soup?",
        "I'll write it down for you tonight",
    ],
    &["Your verification code is 482913. Do not share it with anyone."],
];
/// Notes with titles.
pub const NOTES: [(&str, &str); 14] = [
    ("Shopping", "Milk, eggs, bread, tomatoes, olive oil, coffee beans"),
    (
        "Book list",
        "The Overstory\nKlara and the Sun\nPiranesi\nA Gentleman in Moscow",
    ),
    ("Wi-Fi at the cabin", "Network PineTree, password larch-2208"),
    (
        "Soup",
        "2 onions, 500 g carrots, 1 l stock, ginger. Cook for 25 minutes.",
    ),
    ("Gift ideas", "Dad: gloves. Nora: puzzle. Ben: climbing chalk."),
    ("Car", "Next service at 84,000 km. Tyre pressure 2.4 bar."),
    (
        "Meeting Monday",
        "Ask about the budget, the new desk and the release on the 14th",
    ),
    ("Packing", "Passport, charger, rain jacket, sunscreen"),
    ("Ideas", "A map of all bakeries that open on Sundays"),
    ("Doctor", "Appointment on Tuesday, bring the blood test"),
    ("Garden", "Plant garlic in October, cut the roses in March"),
    ("Quotes", "Simplicity is the ultimate sophistication."),
    ("Measurements", "Window 118 x 142 cm, shelf 80 cm"),
    ("Workout", "3 x 12 squats, 3 x 10 push-ups, 20 min run"),
];
/// Events: title, place, minutes.
pub const EVENTS: [(&str, &str, u32); 14] = [
    ("Team meeting", "Room 204", 60),
    ("Dentist", "Harbor Clinic", 45),
    ("Lunch with Alice", "Corner Bistro", 60),
    ("Yoga class", "Studio 12", 75),
    ("Project review", "", 90),
    ("Call with the bank", "", 30),
    ("Parents' evening", "Linden School", 60),
    ("Football training", "North Field", 90),
    ("Concert", "City Hall", 150),
    ("Haircut", "Main Street 8", 45),
    ("Flight to Lisbon", "Airport, Terminal 2", 180),
    ("Book club", "Library", 90),
    ("Car service", "Garage Meyer", 60),
    ("Dinner at Nora's", "14 Orchard Lane", 150),
];
/// Documents: folder, name, text.
pub const FILES: [(&str, &str, &str); 10] = [
    (
        "Documents",
        "budget.csv",
        "month,rent,food\nJanuary,900,310\nFebruary,900,295\n",
    ),
    (
        "Documents",
        "letter.txt",
        "Dear Sir or Madam,\nplease find enclosed the signed contract.\n",
    ),
    (
        "Documents",
        "todo.txt",
        "call the plumber\nrenew passport\nbook train\n",
    ),
    ("Download", "ticket.pdf", "%PDF-1.4 train ticket"),
    ("Download", "menu.pdf", "%PDF-1.4 menu"),
    ("Download", "invoice_2231.pdf", "%PDF-1.4 invoice"),
    ("Download", "manual.pdf", "%PDF-1.4 manual of the washing machine"),
    ("Music", "evening_rain.mp3", "ID3"),
    ("Music", "morning_walk.mp3", "ID3"),
    ("Recordings", "interview.m4a", "ftyp"),
];
/// Mails: sender, address, subject, text.
pub const MAILS: [(&str, &str, &str, &str); 10] = [
    (
        "Orbit Labs",
        "people@orbitlabs.example",
        "Your interview on Wednesday",
        "Hello Alex,\nwe are looking forward to meeting you on Wednesday at 14:00, Harbor Street 21, third floor.",
    ),
    (
        "City Library",
        "service@library.example.org",
        "A book is due on Friday",
        "Please return or renew \"Piranesi\" by Friday. Late returns cost $0.50 a day.",
    ),
    (
        "Nora Larsen",
        "nora.larsen@example.com",
        "Dinner plans",
        "Hi,\nhow about Saturday at 19:30? I will cook the lentil soup you liked.",
    ),
    (
        "Blue Oak Bakery",
        "orders@blueoak.example",
        "Order 5518 is ready",
        "Your cake can be picked up from Thursday, 8:00. Total: $34.20.",
    ),
    (
        "Railways",
        "tickets@trains.example.net",
        "Booking 7QK2PL",
        "Harbor to Hill Valley, 09:05, coach 7, seat 42. Have a pleasant journey.",
    ),
    (
        "Northwind Studio",
        "hello@northwind.example",
        "Invoice 2231",
        "Please find the invoice of $480.00 for March. It is due within 14 days.",
    ),
    (
        "Tom Walsh",
        "tom.walsh@example.com",
        "Photos from the hike",
        "The pictures are in the shared folder. The one at the lake is my favourite.",
    ),
    (
        "Harbor Clinic",
        "desk@harborclinic.example",
        "Appointment confirmed",
        "Your appointment with Dr. Weber is confirmed for Tuesday, 10:40.",
    ),
    (
        "Weekly Notes",
        "news@weekly.example",
        "Seven ideas for a rainy Sunday",
        "Bake bread, call a friend, repair the bike, read a play.",
    ),
    (
        "Linden School",
        "office@linden.example",
        "Parents' evening moved",
        "The evening moved to the 22nd at 18:00, room 12.",
    ),
];
