//! Cities and countries: to know them in a prompt, and so that the parts of an address, of a
//! price and of a place on the map belong together.

/// A city with what goes with it.
#[derive(Debug)]
pub(crate) struct City {
    pub(crate) name: &'static str,
    pub(crate) country: &'static str,
    /// In ten-thousandths of a degree.
    pub(crate) latitude: i32,
    pub(crate) longitude: i32,
    pub(crate) zone: &'static str,
    pub(crate) zip: &'static str,
    /// Its names in other languages, in lower case, with commas between them.
    others: &'static str,
}

/// A country: its name, its two letters, its capital, its currency, and its names in other
/// languages.
#[derive(Debug)]
pub(crate) struct Country {
    pub(crate) name: &'static str,
    pub(crate) code: &'static str,
    pub(crate) capital: &'static str,
    pub(crate) currency: &'static str,
    others: &'static str,
}

const fn city(
    (name, country): (&'static str, &'static str),
    (latitude, longitude): (i32, i32),
    (zone, zip): (&'static str, &'static str),
    others: &'static str,
) -> City {
    City {
        name,
        country,
        latitude,
        longitude,
        zone,
        zip,
        others,
    }
}

const fn country(
    (name, code): (&'static str, &'static str),
    (capital, currency): (&'static str, &'static str),
    others: &'static str,
) -> Country {
    Country {
        name,
        code,
        capital,
        currency,
        others,
    }
}

/// The first few are those that are made up where the prompt names none.
pub(crate) static CITIES: [City; 26] = [
    city(
        ("Lisbon", "Portugal"),
        (38_7223, -9_1393),
        ("Europe/Lisbon", "1100-148"),
        "lisboa,lissabon,lisbonne,lisbona,лиссабон,里斯本,リスボン,리스본,لشبونة,लिस्बन",
    ),
    city(
        ("Osaka", "Japan"),
        (34_6937, 135_5023),
        ("Asia/Tokyo", "530-0001"),
        "大阪,오사카,осака,أوساكا,ओसाका",
    ),
    city(
        ("Vienna", "Austria"),
        (48_2082, 16_3738),
        ("Europe/Vienna", "1010"),
        "wien,vienne,viena,вена,вене,维也纳,ウィーン,빈,فيينا,वियना",
    ),
    city(
        ("Toronto", "Canada"),
        (43_6532, -79_3832),
        ("America/Toronto", "M5H 2N2"),
        "торонто,多伦多,トロント,토론토,تورونتو,टोरंटो",
    ),
    city(
        ("Paris", "France"),
        (48_8566, 2_3522),
        ("Europe/Paris", "75001"),
        "parís,parigi,париж,париже,парижа,巴黎,パリ,파리,باريس,पेरिस",
    ),
    city(
        ("Rome", "Italy"),
        (41_9028, 12_4964),
        ("Europe/Rome", "00184"),
        "roma,rom,рим,риме,рима,罗马,羅馬,ローマ,로마,روما,रोम",
    ),
    city(
        ("London", "United Kingdom"),
        (51_5074, -1278),
        ("Europe/London", "SW1A 1AA"),
        "londres,londra,лондон,лондоне,лондона,伦敦,倫敦,ロンドン,런던,لندن,लंदन",
    ),
    city(
        ("Berlin", "Germany"),
        (52_5200, 13_4050),
        ("Europe/Berlin", "10115"),
        "berlín,berlino,berlim,берлин,берлине,柏林,ベルリン,베를린,برلين,बर्लिन",
    ),
    city(
        ("Madrid", "Spain"),
        (40_4168, -3_7038),
        ("Europe/Madrid", "28001"),
        "мадрид,мадриде,马德里,マドリード,마드리드,مدريد,मैड्रिड",
    ),
    city(
        ("Moscow", "Russia"),
        (55_7558, 37_6173),
        ("Europe/Moscow", "101000"),
        "moskau,moscú,moscou,mosca,москва,москве,москвы,москву,莫斯科,モスクワ,모스크바,موسكو,मॉस्को",
    ),
    city(
        ("Cairo", "Egypt"),
        (30_0444, 31_2357),
        ("Africa/Cairo", "11511"),
        "kairo,el cairo,le caire,il cairo,каир,каире,开罗,カイロ,카이로,القاهرة,काहिरा",
    ),
    city(
        ("Dubai", "United Arab Emirates"),
        (25_2048, 55_2708),
        ("Asia/Dubai", "00000"),
        "dubái,дубай,дубае,迪拜,ドバイ,두바이,دبي,दुबई",
    ),
    city(
        ("Delhi", "India"),
        (28_6139, 77_2090),
        ("Asia/Kolkata", "110001"),
        "new delhi,дели,德里,新德里,デリー,델리,دلهي,दिल्ली",
    ),
    city(
        ("Mumbai", "India"),
        (19_0760, 72_8777),
        ("Asia/Kolkata", "400001"),
        "мумбаи,孟买,ムンバイ,뭄바이,مومباي,मुंबई",
    ),
    city(
        ("Beijing", "China"),
        (39_9042, 116_4074),
        ("Asia/Shanghai", "100000"),
        "peking,pekín,pékin,pechino,pequim,пекин,пекине,北京,베이징,بكين,बीजिंग",
    ),
    city(
        ("Shanghai", "China"),
        (31_2304, 121_4737),
        ("Asia/Shanghai", "200000"),
        "шанхай,上海,상하이,شنغهاي,शंघाई",
    ),
    city(
        ("Tokyo", "Japan"),
        (35_6762, 139_6503),
        ("Asia/Tokyo", "100-0001"),
        "tokio,tóquio,токио,东京,東京,도쿄,طوكيو,टोक्यो",
    ),
    city(
        ("Kyoto", "Japan"),
        (35_0116, 135_7681),
        ("Asia/Tokyo", "600-8216"),
        "kioto,киото,京都,교토,كيوتو,क्योटो",
    ),
    city(
        ("Seoul", "South Korea"),
        (37_5665, 126_9780),
        ("Asia/Seoul", "04524"),
        "seúl,séoul,сеул,сеуле,首尔,ソウル,서울,سيول,सियोल",
    ),
    city(
        ("Singapore", "Singapore"),
        (1_3521, 103_8198),
        ("Asia/Singapore", "018956"),
        "singapur,singapour,сингапур,新加坡,シンガポール,싱가포르,سنغافورة,सिंगापुर",
    ),
    city(
        ("Sydney", "Australia"),
        (-33_8688, 151_2093),
        ("Australia/Sydney", "2000"),
        "sídney,сидней,悉尼,シドニー,시드니,سيدني,सिडनी",
    ),
    city(
        ("New York", "United States"),
        (40_7128, -74_0060),
        ("America/New_York", "10001"),
        "new york city,nueva york,nova york,nova iorque,nyc,нью-йорк,нью-йорке,纽约,紐約,ニューヨーク,뉴욕,نيويورك,न्यूयॉर्क",
    ),
    city(
        ("San Francisco", "United States"),
        (37_7749, -122_4194),
        ("America/Los_Angeles", "94103"),
        "сан-франциско,旧金山,サンフランシスコ,샌프란시스코,سان فرانسيسكو,सैन फ्रांसिस्को",
    ),
    city(
        ("Mexico City", "Mexico"),
        (19_4326, -99_1332),
        ("America/Mexico_City", "06000"),
        "ciudad de méxico,mexiko-stadt,мехико,墨西哥城,メキシコシティ,멕시코시티",
    ),
    city(
        ("São Paulo", "Brazil"),
        (-23_5505, -46_6333),
        ("America/Sao_Paulo", "01310-100"),
        "sao paulo,сан-паулу,圣保罗,サンパウロ,상파울루",
    ),
    city(
        ("Buenos Aires", "Argentina"),
        (-34_6037, -58_3816),
        ("America/Argentina/Buenos_Aires", "C1002"),
        "буэнос-айрес,布宜诺斯艾利斯,ブエノスアイレス,부에노스아이레스",
    ),
];

/// Other cities that are known by name, in lower case.
const OTHER_CITIES: &str = "amsterdam,athens,atlanta,austin,bangalore,bangkok,barcelona,bergen,bogota,bogotá,boston,brussels,budapest,cape town,chicago,copenhagen,dallas,denver,dublin,düsseldorf,edinburgh,firenze,florence,frankfurt,geneva,hamburg,helsinki,hong kong,honolulu,houston,istanbul,jakarta,johannesburg,karachi,köln,kyiv,lagos,las vegas,lima,los angeles,lyon,manchester,manila,marseille,melbourne,miami,milan,milano,montreal,munich,münchen,nairobi,naples,napoli,new orleans,nice,oslo,philadelphia,phoenix,porto,portland,prague,quito,reykjavik,riga,rio de janeiro,salzburg,san diego,santiago,seattle,sevilla,shenzhen,springfield,stockholm,stuttgart,taipei,tallinn,tel aviv,toulouse,turin,vancouver,venezia,venice,warsaw,washington,wellington,zurich,zürich,香港,台北,广州,深圳,成都,名古屋,札幌,福岡,横浜,부산,санкт-петербург,казань,мумбай,चेन्नई,कोलकाता,الرياض,بيروت,دمشق";

pub(crate) static COUNTRIES: [Country; 32] = [
    country(
        ("Portugal", "PT"),
        ("Lisbon", "EUR"),
        "португалия,葡萄牙,ポルトガル,포르투갈",
    ),
    country(
        ("Japan", "JP"),
        ("Tokyo", "JPY"),
        "japón,japon,japão,giappone,япония,日本,일본,اليابان,जापान",
    ),
    country(
        ("Austria", "AT"),
        ("Vienna", "EUR"),
        "österreich,autriche,австрия,奥地利,オーストリア",
    ),
    country(
        ("Canada", "CA"),
        ("Ottawa", "CAD"),
        "kanada,canadá,канада,加拿大,カナダ,캐나다,كندا,कनाडा",
    ),
    country(
        ("France", "FR"),
        ("Paris", "EUR"),
        "francia,frankreich,frança,франция,法国,フランス,프랑스,فرنسا,फ़्रांस,फ्रांस",
    ),
    country(
        ("Italy", "IT"),
        ("Rome", "EUR"),
        "italia,italien,italie,itália,италия,意大利,イタリア,이탈리아,إيطاليا,इटली",
    ),
    country(
        ("United Kingdom", "GB"),
        ("London", "GBP"),
        "uk,great britain,england,reino unido,royaume-uni,великобритания,英国,イギリス,영국",
    ),
    country(
        ("Germany", "DE"),
        ("Berlin", "EUR"),
        "deutschland,allemagne,alemania,alemanha,germania,германия,德国,ドイツ,독일,ألمانيا,जर्मनी",
    ),
    country(
        ("Spain", "ES"),
        ("Madrid", "EUR"),
        "españa,spanien,espagne,espanha,spagna,испания,西班牙,スペイン,스페인,إسبانيا,स्पेन",
    ),
    country(
        ("Russia", "RU"),
        ("Moscow", "RUB"),
        "russland,rusia,russie,rússia,россия,俄罗斯,ロシア,러시아,روسيا,रूस",
    ),
    country(
        ("Egypt", "EG"),
        ("Cairo", "EGP"),
        "ägypten,egipto,égypte,egito,egitto,египет,埃及,エジプト,مصر,मिस्र",
    ),
    country(
        ("United Arab Emirates", "AE"),
        ("Abu Dhabi", "AED"),
        "uae,emirates",
    ),
    country(
        ("India", "IN"),
        ("New Delhi", "INR"),
        "indien,inde,índia,индия,印度,インド,인도,الهند,भारत",
    ),
    country(
        ("China", "CN"),
        ("Beijing", "CNY"),
        "chine,cina,китай,中国,중국,الصين,चीन",
    ),
    country(
        ("South Korea", "KR"),
        ("Seoul", "KRW"),
        "korea,corea,corée,韩国,韓国,한국",
    ),
    country(("Singapore", "SG"), ("Singapore", "SGD"), ""),
    country(
        ("Australia", "AU"),
        ("Canberra", "AUD"),
        "australien,australie,austrália,австралия,澳大利亚,オーストラリア,호주",
    ),
    country(
        ("United States", "US"),
        ("Washington, D.C.", "USD"),
        "usa,u.s.,united states of america,america,estados unidos,états-unis,vereinigte staaten,сша,美国,アメリカ,미국",
    ),
    country(
        ("Mexico", "MX"),
        ("Mexico City", "MXN"),
        "méxico,mexiko,mexique,messico,мексика,墨西哥,メキシコ",
    ),
    country(
        ("Brazil", "BR"),
        ("Brasília", "BRL"),
        "brasil,brasilien,brésil,brasile,бразилия,巴西,ブラジル,브라질",
    ),
    country(
        ("Argentina", "AR"),
        ("Buenos Aires", "ARS"),
        "argentinien,argentine,аргентина,阿根廷",
    ),
    country(
        ("Norway", "NO"),
        ("Oslo", "NOK"),
        "norwegen,norvège,noruega,norvegia,норвегия,挪威",
    ),
    country(
        ("Sweden", "SE"),
        ("Stockholm", "SEK"),
        "schweden,suède,suecia,suécia,svezia,швеция,瑞典",
    ),
    country(
        ("Switzerland", "CH"),
        ("Bern", "CHF"),
        "schweiz,suisse,suiza,suíça,svizzera,швейцария,瑞士,スイス",
    ),
    country(
        ("Netherlands", "NL"),
        ("Amsterdam", "EUR"),
        "niederlande,pays-bas,holanda,paesi bassi,нидерланды,荷兰",
    ),
    country(
        ("Greece", "GR"),
        ("Athens", "EUR"),
        "griechenland,grèce,grecia,grécia,греция,希腊",
    ),
    country(
        ("Turkey", "TR"),
        ("Ankara", "TRY"),
        "türkei,turquie,turquía,turquia,turchia,türkiye,турция,土耳其,トルコ",
    ),
    country(
        ("Poland", "PL"),
        ("Warsaw", "PLN"),
        "polen,pologne,polonia,polônia,polska,польша,波兰",
    ),
    country(
        ("Ireland", "IE"),
        ("Dublin", "EUR"),
        "irland,irlande,irlanda,ирландия,爱尔兰",
    ),
    country(("Kenya", "KE"), ("Nairobi", "KES"), "kenia,кения,肯尼亚"),
    country(("Chile", "CL"), ("Santiago", "CLP"), "чили,智利"),
    country(
        ("New Zealand", "NZ"),
        ("Wellington", "NZD"),
        "neuseeland,nouvelle-zélande,nueva zelanda,новая зеландия,新西兰",
    ),
];

impl City {
    /// The city of that name, in whatever language and case.
    pub(crate) fn named(lower: &str) -> Option<&'static Self> {
        CITIES
            .iter()
            .find(|city| city.name.eq_ignore_ascii_case(lower) || is_listed(city.others, lower))
    }

    /// The currency of its country.
    pub(crate) fn currency(&self) -> &'static str {
        Country::named(&self.country.to_ascii_lowercase()).map_or("EUR", |country| country.currency)
    }
}

impl Country {
    /// The country of that name, in whatever language and case.
    pub(crate) fn named(lower: &str) -> Option<&'static Self> {
        COUNTRIES.iter().find(|country| {
            country.name.eq_ignore_ascii_case(lower) || is_listed(country.others, lower)
        })
    }
}

impl Country {
    /// The country that a text in a script without spaces names.
    pub(crate) fn within(text: &str) -> Option<&'static Self> {
        let is_unspaced = |name: &&str| name.starts_with(|first: char| first > '\u{3000}');
        COUNTRIES.iter().find(|country| {
            let mut names = country.others.split(',').filter(is_unspaced);
            names.any(|name| text.contains(name))
        })
    }
}

/// Whether a name in lower case is that of a place.
pub(crate) fn is_place(lower: &str) -> bool {
    City::named(lower).is_some()
        || is_listed(OTHER_CITIES, lower)
        || Country::named(lower).is_some()
}

/// Whether a name in lower case is that of a country.
pub(crate) fn is_country(lower: &str) -> bool {
    Country::named(lower).is_some()
}

/// All names of places in scripts that are written without spaces or change no case.
pub(crate) fn names_beyond_latin() -> impl Iterator<Item = &'static str> {
    let cities = CITIES.iter().map(|city| city.others);
    let countries = COUNTRIES.iter().map(|country| country.others);
    cities
        .chain([OTHER_CITIES])
        .chain(countries)
        .flat_map(|list| list.split(','))
        .filter(|name| name.starts_with(|first: char| !first.is_ascii() && first > '\u{24f}'))
}

fn is_listed(list: &str, name: &str) -> bool {
    !name.is_empty() && list.split(',').any(|listed| listed == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_known_in_other_languages() {
        for (name, expect) in [
            ("paris", "Paris"),
            ("東京", "Tokyo"),
            ("москве", "Moscow"),
            ("wien", "Vienna"),
        ] {
            assert_eq!(City::named(name).unwrap().name, expect);
        }
        assert_eq!(Country::named("deutschland").unwrap().code, "DE");
        assert!(
            is_place("las vegas") && is_place("new york") && !is_place("weather") && !is_place("")
        );
    }

    #[test]
    fn each_city_is_in_a_country_and_on_the_map() {
        for city in &CITIES {
            assert!(
                Country::named(&city.country.to_lowercase()).is_some(),
                "{city:?}"
            );
            assert!(city.latitude.abs() < 90_0000 && city.longitude.abs() < 180_0000);
        }
    }
}
