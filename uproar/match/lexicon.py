"""Lexicon: the few hundred words that matching has to know, folded. Not the rules that use them."""

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENGLISH: Final = _words(
    """
    ace action alliance ally alpine always amber angel apple arm art august axe baker banana banks
    bath bell best big bill bird black block bloom blue body bolt boost boots bounce bounty breeze
    bridge brown bulb bull burger bush buy buzz cable canon capital carter cascade case cash
    casino cast champion chance chapel charter chase cheer china circle clarity clear coach coast
    cobra comet common compass container cook coral core corona crave crest cricket cross crown
    crush crystal daisy dash dawn deer delta dial direct discord discover dish dodge dollar domino
    dove down drake eagle echo eclipse edge epic escape essence ever excel express extra faith
    falcon family farm field first five flash flex fly focus food foods force ford fossil fox free
    fresh frontier future gain galaxy gap general genesis george georgia giant gold golf good grab
    grace grand green guess harmony harvest heart heather hill hive hobby holly home honest hope
    hunter impact impossible independence indigo insight iris island ivory ivy jack jaguar jet
    jordan joy just kind king knight lemonade liberty life lift light lily lime limited lincoln
    line lion live long look loom lotus love lucid lush mango mark market mars mason match max may
    meadow mercury mercy meta metro mint miracle mission mobile mode monster monument moon mutual
    national nature navy nest new next nice nickel north note nova oasis ocean octopus office old
    olive one open oracle orange orbit origin outback outlook page paramount park patriot peacock
    pearl penny people phoenix pilot pink pioneer pixel planet plum polo post premier prime prince
    progressive pulse pure quest quick quiet rain rally range reading red regal regent relay
    republic rich ring river rivers rocket root rose rouge royal ruby sage saturn save sea seal
    secret self serenity sharp shell shift signal silver simple sky slack slate smart snap snow
    sonic south southwest spark special spectrum spirit splash split spotlight spring sprint
    square stable standard star stars state steam still sting stone store story stride stripe
    subway summer summit sun sunrise sunset supreme swift target taylor teams telegram temple
    three thrive tide tiger timber titan tool topic torch total travelers tree triumph true trust
    turkey twist union united universal urban valley vans very victory virgin virtue visa vision
    vista vital vogue wave west western white whole will wind window windows wise wish wonder wood
    woods word works world young zoom
    """
)
"""English words that are also names of brands or people: alone they prove nothing."""

FRENCH: Final = _words(
    """
    action agricole air alliance alpine ambre ange aout assurance atlantique avenir avril azur
    balance banque berger bic blanc blanche bleu bois boisson bon bonne boucher boulanger brioche
    but cadeau caisse canal capital carrefour carte casino centrale cerise chaine champion
    chance chapeau charpentier chausson cite claire classe clef club coeur coin colis
    colombe compagnie conseil constance corail courrier credit croix cultura danse delta
    desir diamant domaine dome eclair eclipse ecole elan elite entreprise envie epargne epi equipe
    espace espoir essence est etape ete etoile europe evasion excellence express fable fabre
    fee ferme fiat figaro fleur fleury flora fontaine force foret fortune forum fournil frais
    france freres galerie galeries general generale grace grand grande groupe halle harmonie
    hermine hiver horizon hotel humanite ideal iris jardin jaune joie jour journal juin jules
    juste kangourou laitiere lavande leader legende lemaitre liberation liberte ligne lilas lion
    lotus loup lumiere lune luxe lys madame magnolia mai maire mairie maison mango marchand
    marguerite marianne marin marine mars match maxi merci mercure merveille metro mini minute
    mire mode monde mondial monsieur moulin mouton muse mutuel nature neuf nicolas noir nord
    nouveau nouvelle oasis objectif ocean oeuvre olive ombre opera option or orange orchidee ouest
    page palais panda paradis parisien passion patience paul perle petit pharmacie pierre
    pigeon plage plume point poire poisson polo pommier populaire porte poste premier presence
    president prince printemps promesse prudence prune quick radio rallye reflet regard region
    relais renard reserve reve rivage riviere roi rose rouge roux royal rubis sable saga saint
    saison sauvage science sel semaine sentinelle signal smart soleil source sourire sud suez
    super systeme talent tele tempo temps tendance terre theatre tonnerre total tradition trait tresor
    triomphe un union univers usine vache vague valentin vent verger vert vertu victoire victor
    vie village ville violette virage visa vision vital voile voix vue zen zodiaque
    """
)
"""The same in French."""

ANYWHERE: Final = _words(
    """
    action alpha banana casino corona delta europa express extra fiat global mango mars max metro
    mini mobil nova oasis omega opera orange polo prima radio rose star super total union visa
    vision vista
    """
)
"""The same in every language of Latin letters that has no list of its own."""

LATIN: Final = _words(
    "ca cs da de es et eu fi gl hr hu id it lt lv nb nl no pl pt ro sk sl sv tr vi"
)
"""Languages of Latin letters without a list of their own."""

ENGLISH_GLUE: Final = _words(
    "the and is to of my you in it for this that with was are i they your have not be on at we from "
    "so just what when who how their"
)
"""By their number a text without language is taken for English."""

FRENCH_GLUE: Final = _words(
    "le la les des est et pas je vous nous que qui une un du pour dans sur avec mon ma c j l d qu chez "
    "mes ca ce il elle on de a au plus"
)

BEFORE_A_NAME: Final = _words(
    """
    balance boicot boicota boicotear boicoteemos boycott boycotted boycotten boycotter boycottez
    boycotting boycottons boycotts boykott boykottiert bye cancel cher chere chez dear flew flying
    fuck goodbye hello hey hi screw
    """
)
"""Behind these an ordinary word is a name, however it is written."""

LEADS: Final = _words(
    """
    luv nope bye goodbye boo a about adieu after again against all an and another any apres april are as ask asked asking
    at au august aux avant avec because before bei bonjour both bravo but by c can car ce ces cet
    cette chez comme comment con contre d dans das de december depuis der des did die dimanche
    ditching does donc du dumping el elle en encore et even every february flew fly for friday
    from has hate hates hating hello her hi his honte hope how i if il im in is j jamais january
    je jeudi july june just l la las le leave leaving left les lol los love loved loves loving
    lundi ma mais march mardi marre merci mercredi mes mit mon monday my n never ni no nos not
    notre november october of ok okay omg on once only or ou our par para please por pour pourquoi
    qu quand que qui quit quitte quitter quitting quoi resilier rt s salut samedi sans saturday
    selon september shame should si since so sorry still stop sunday sur tell thank thanks that
    the their these think this thought thursday to today tomorrow toujours tuesday un une     vendredi von vos votre was wednesday what when where while why will with without     would wow yeah yes yesterday your
    """
)
"""Words whose capital says nothing of the word behind them: it makes no longer name with theirs."""

COMPANY_WORDS: Final = _words(
    """
    a air airlines airways allemagne and app australia bank banque belgique canada ceo cfo coo
    corp corporation crew cto customer customers employees espana est et europe flight flights
    france germany group groupe has hr i inc india is italy japan llc ltd mexico mobile online or
    pilots plc pr sa service services spain staff store stores suisse support telecom uk us usa
    was website
    """
)
"""Words that may stand capitalised behind a company's name without being part of another."""

SPEAKS: Final = _words(
    """
    staff crew employees pilots cashiers
    _s a again already annonce announced announces apologises apologizes are arrete arretez
    augmente avait broke c can canceled cancelled cancels cannot cant charged charges closed
    comment could deserves devrait did didn do does doesn doit don encore es est esta etait faces
    fait finally fired fires gave gives ha had has hasn hat have how ignore ignored ignores
    is isn ist jamais just keeps kept laisse left licencie lied lies loses losing lost lying m
    made makes me ment merci n ne needs never nous ont overcharged owes perd please pourquoi
    prend promet promised quand quelle raised really refused refusent refuses rembourse
    remboursez responds ruined ruins s said says se seriously should sont steals still stole stop
    sucks thinks told toujours treated treats va veut vient vos votre vous wants war was wasn were
    what when why will wird won wont would wouldn wtf you your
    """
)
"""Words that let the company at the start of a sentence act, or speak to it."""

DOMAINS: Final = _words("com fr net org co io uk de es eu be ch ca in shop app")

AGAINST: Final = _words(
    """
    arnaque arnaques arnaqueur awful bahishkar balance balanceton ban banned boicot
    boicota boicotear boikot boycott boycotted boycotten boycotter boycottez boycotting boycottons
    boycotts boykott broken cancel canceled cancelled chor colere corrupt corruption
    coverup crash criminal criminals crise crisis degage delete disaster disgusting ditch down
    drama dump evil expose exposed fail failed failing fails failure fraud fraude fraudster gate
    greed greedy greenwashing greve guilty hate hateful hates hell honte honteux horrible ihate
    issue issues lawsuit leaks liar liars lies lying marre mauvais meltdown menteur menteurs never
    neveragain nevermore nightmare nomore outage panne pathetic poubelle problem problemes
    problems quit racism racist raciste reject resign scam scammer scammers scams scandal scandale
    scandales scandals sexism sexist shame shameful shameon shutdown strike suck sucked sucks
    terrible thief thieves toxic toxique uninstall useless victimes victims vol voleur voleurs
    worst
    """
)
"""Words that in a hashtag are said against somebody: whoever else is in it is named."""

BESIDE: Final = _words(
    """
    abhi about actor actress adieu advert again airline airlines airport album all always america
    american amour an and another app apps are as at au australia aux avec avion award awards baby
    bag baggage bags bandkaro bank bannis bazar be beauty been best better bharat big black
    bollywood book boss box brand brands breach bring brother business buy by bye call campagne
    campaign canada card care case cash ce ceo challenge chalo change channel china chinese cinema
    city clean click client clients club coach coffee come company concert coupure crew customer
    customers data day de deal deals des desh design dey direct do does dont drive du elle en
    encore enough entre episode et europe evening event ever every facts facture fail fan fans
    fashion fast fest festival fibre film films find fire first flight flights food football for
    forever forfait france free french from fuck game games gang gate girl give go gold good
    goodbye great group hack hacked hatao have help helpline here hindi hindu hinduphobic hindus
    home hotel house howto if il in india indian internet into is islam it its jamais je jeweller
    jewellers jewellery jewelry job jobs jour just justice justicefor ka karo ke khana ki kids
    know ko kyun la lang large last launch law le leak leave les lets liar like line live local
    logo look lost love lovers luggage ma made magasin mail make man manager market marque mart
    massacre matters me media meet men menu merci mes miss mobile model mon money month more
    morning movie movies much music muslim must my myth nahi nahin name nation national ne need
    network new news night no noel not nous nouveau now of official officiel on online only
    opening or order our out outlet outlets owner pakistan par party pas patron pay people person
    phone photo place plan plane play please plus point police post posts pour price prices
    privacy prix prize product products produit produits promo proud public quality queen question
    quote rage real reels refund refunds remboursement repair reply report reseau resiliation
    resiste respect retour review rights rule sab sack salarie salaries sale sales save saveus say
    score search season security seller sells send series service services shop shops show sign
    silence site so sold song sorry staff star stay stop store stores story strong style sue
    support sur swag system ta team tech tes test thanks that the their them then they think this
    those ticket tickets time to today ton toujours tour town train travel trend trending tres
    true truth tshirt tu tune tv un une union unis unsafe up update us usa user users version very
    video views virus voice vols vos vote votre voyage wait wake want war warning was watch we
    wear web website week weekend what when where which white who why wifi will win winter wish
    with without women wonder work workers world wow wrong year yes you your zone
    """
)
"""Words that stand beside a name in a hashtag and say nothing."""

CLITICS: Final = _words(
    "l d j n s m t c qu jusqu lorsqu puisqu quoiqu presqu quelqu un all dall dell nell sull quest quell"
)
"""French and Italian words that lean on the next one with an apostrophe."""

DETERMINERS: Final = _words(
    """
    the a an my our your his her their its this that these those us me him them everyone everybody
    people nobody somebody all le la les un une des du mon ma mes notre nos votre vos leur leurs ce
    cette ces
    """
)
"""What stands behind a verb with an object."""

ARTICLES: Final = _words(
    "le la les l un une el los las una uno il lo gli der die das den dem ein eine"
)
"""Behind these an ordinary word is just that. English puts its article before companies too."""

ADDRESSES: Final = _words(
    "i we they you there it this that thank thanks shame no not je on nous vous ils tu il c merci honte"
)
"""Words that speak to the company named before a comma."""

PARTICLES: Final = _words("off out up down back away over encore toujours pas")
"""Words that may stand between a verb and its object."""
