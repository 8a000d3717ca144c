"""What commits and what only bridges, per language. Data for `guard.py`; no code that decides anything.

A table has an alternative a line, each a regular expression, read on lower-case text with plain quotes,
plain punctuation and simplified characters (see `guard.plain`). A name in angle brackets stands for the
fragment of that name. `§` is what is left of a phrase that was read as harmless.

Every repetition is bounded or possessive and no table scans ahead without a bound: a guard that a hostile
sentence can slow down would hold up a call.
"""

from typing import NamedTuple


class Table(NamedTuple):
    """Alternatives that commit to a kind, and where they count."""

    kind: str
    where: str  # `all`: anywhere; `said`: not in a clause that is only asked; `stated`: nor in a question
    lines: str


class Rules(NamedTuple):
    """A language: the first table that matches names the kind."""

    start: str  # what must stand before each alternative of a table
    fragments: dict[str, str]
    harmless: str  # looks like a commitment and is none
    asked: str  # an indirect question: "§ whether it was sent" does not say that it was
    tables: tuple[Table, ...]


# --- English ---------------------------------------------------------------------------------------------

_EN_FRAGMENTS = {
    # Whoever says one of these and then a verb of LOOK has said nothing: "let me just quickly check".
    "I": r"(?:let me|let us|let's|allow me to|(?:i|we)(?:'ll| will| shall| can| could| may| might| must| should|"
    r" need to| want to| wanted to| have to|'d like to| would like to|'d love to| would love to|'ve got to|"
    r"(?:'m| am|'re| are) (?:going|about|trying|here) to|'m gonna|"
    r"(?:'m| am|'re| are|'d be|'ll be| will be| would be)(?: more than| very)? "
    r"(?:happy|glad|able|pleased|delighted) to))",
    "ADV": r"(?:(?:just|quickly|now|first|also|gladly|certainly|definitely|happily|absolutely|please|then|"
    r"try to|try and|go ahead and|be happy to|be glad to|do my best to|need to|have to|want to|start by|quick|"
    r"take a moment to|briefly|carefully|simply|still|currently|actually|right now|only|really) ){0,5}+",
    "LOOK": r"(?:(?:double|re|cross)[- ]?check|check(?! you| in\b| out\b)|look(?! after)|"
    r"see(?! to)|find (?:out|that|the|this|your|it|some|what|where|how|an?)|search|verify|review|read|think|"
    r"consider|understand|explain|clarify|figure|dig|consult|ask(?! (?:\w+ ){1,3}to )|tell you|help|assist|"
    r"confirm(?! (?:your|the) (?:booking|order|reservation|appointment|payment|cancellation|refund))|"
    r"pull|bring up|bring (?:that|it|this|your \w+) up|go (?:over|through|into|and)|walk you|say|"
    r"(?:have|take) (?:a|another|one)(?: \w+){0,3} look|take (?:a note|notes|this|it|that) |"
    r"get (?:that|the|some|your|more|this|a bit more|all the)(?: \w+){0,2} "
    r"(?:information|info|details?|answer|file|account|records?|facts|picture|data)|"
    r"get (?:right|straight) (?:on|to|into)|get right back to you|get this right|get to|get started|"
    r"make sure (?:that )?(?:i|we|you) (?:get|understand|have|understood|give|got)|"
    r"give (?:it|this|that) some|give you (?:the|an?) (?:\w+ )?(?:overview|idea|answer|information|details)|"
    r"gather|make a note|note|write|jot|start|begin|know|hear|see|feel|imagine|appreciate|relate|"
    r"repeat|rephrase|summari[sz]e|recap|break (?:it|this|that) down|work (?:out|through)|address|share|"
    r"talk|compare|listen|speak|wait|hold|put you on hold|need|be (?:right|back|with you|on it|brief|quick|a)|"
    r"let you know (?:what i|as soon|in a|shortly|right)|do (?:my best(?: to help)?|what i can)(?=[,.!]|$)|"
    r"come right back|come back to you (?:in a|shortly)|open (?:up )?your|access|suggest|recommend|try\b(?! to))",
    "LOOKING": r"(?:(?:double|re|cross)?-?checking|looking|searching|reading|reviewing|verifying|thinking|"
    r"finding|pulling|bringing|going (?:over|through|into)|getting (?:the|that|your|all)|digging|seeing|"
    r"trying to|asking|consulting|hearing|listening|wondering|working|loading|waiting|having trouble|"
    r"confirming|opening|calling up|gathering|speaking|following|hoping|assuming|guessing|"
    r"feeling|learning)",
    "MOMENT": r"(?:moment|second|sec|minute|min|tick|mo)",
    "NUM": r"(?:zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|"
    r"sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|"
    r"(?:a )?hundreds?|thousands?|millions?|billions?|trillions?|dozens?)",
    "UNIT": r"(?:hour|day|night|week|month|quarter|year|decade|weekday|fortnight)",
    "DAYS": r"(?:minutes|hours|days|nights|weeks|months|years|weekdays|weekends)",
    # What a verb form must be to be an act upon the caller's affairs.
    "ACTED": r"(?:refunded|cancell?ed|(?:re)?confirmed|booked|reserved|(?:re)?scheduled|(?:re)?processed|"
    r"completed?|sent|resent|shipped|dispatched|delivered|posted|(?:e-?)?mailed|forwarded|updated|changed|"
    r"amended|corrected|fixed|(?:re)?solved|repaired|replaced|added|removed|deleted|closed|(?:re)?opened|"
    r"(?:de|re)?activated|enabled|disabled|(?:un)?blocked|(?:un)?locked|frozen|approved|accepted|rejected|"
    r"declined|denied|granted|(?:re)?issued|credited|charged|debited|deducted|paid|transferred|"
    r"(?:re)?submitted|registered|enrolled|upgraded|downgraded|renewed|extended|suspended|reinstated|"
    r"restored|reset|waived|applied|(?:re)?placed|ordered|created|generated|set up|switched|moved|swapped|"
    r"(?:re|dis)?connected|installed|arranged|assigned|notified|informed|recorded|logged|saved|"
    r"verified|(?:un)?linked|(?:un)?subscribed|signed up|escalated|reported|filed|raised|packed|collected|"
    r"picked up|returned|settled|cleared|sorted|taken care of|handled|dealt with|finali[sz]ed|secured|"
    r"redeemed|adjusted|reversed|reimbursed|compensated|done|finished|organi[sz]ed|taken|made)",
    "EVER": r"(?:(?:now|just|already|also|all|been|being|successfully|since|then|officially|fully|both|"
    r"gone ahead and|went ahead and|currently|automatically|not) ){0,4}+",
    "OH": r"(?:(?:oh|ah|hi|hello|hey|well|okay|ok|alright|all right|great|good question|great question|hmm|"
    r"um|uh|so|and|but|thanks|thank you|sorry|i'm sorry|good news)[,.! -]{1,3}){0,3}+",
    "BRIDGE": r"(?:,? (?:thing|no problem|absolutely|of course)){0,2}+(?:,|, and|, so| -| and)? "
    r"(?:§|thank|i understand|i see|i hear|how|what|which|when|where|who|may|could|can|would|do\b|please|so\b|"
    r"happy to|glad to|bear with|hang on|hold on|just\b)",
}

_EN_HARMLESS = r"""
(?:<I> <ADV>|and (?:then )?(?:see|check|find out|look|verify|try to)(?=<LOOK>?)|to <ADV>)<LOOK>
(?:i'm|i am|we're|we are) <ADV><LOOKING>
you(?:'re| are| were|'d| would)? (?:asking|wondering|saying|calling|like to know|want to know|interested)
(?:(?:just|only|give me|hang on|hold on|wait|for|in|another|be|take|about) ){0,3}+(?:(?:one|a|half a|two|a few|a couple of|a couple|few|couple) (?:more |quick |brief |short |little )?(?:moment|second|sec|tick|mo)s?)\b
(?:just|give me|give us|hang on|hold on|wait|bear with me|bear with me for|need|only take|take me|take only|take) (?:just |about |maybe )?(?:one|a|another|a few|a couple of|a couple|two) (?:more )?min(?:ute)?s?\b
one (?:more )?(?:quick )?(?:thing|question|minute)
a couple (?:of )?(?:more )?(?:quick )?(?:things|questions|points|details|options|ways|aspects|factors)
(?:oh|ah|aw) no\b
no (?:problem|worries|trouble|rush|hurry|doubt|matter|wonder|idea|one|need to (?:worry|rush|hang|apologi[sz]e|repeat))\b(?![.!]*$)
no (?:worries|rush|hurry|idea|doubt)
(?:i'm|i am|we're|we are) (?:not|n't) (?:yet |quite |entirely |completely |really |totally )?(?:sure|certain|familiar|clear|there)
i (?:do not|don't|didn't|did not|haven't|have not) (?:yet |quite |really )?(?:want|know|have (?:that|the|it|this|enough|all|any information|an answer)|see|catch|hear|get|understand|found|checked|understood|wish)
(?:do not|don't) (?:worry|hang|go|hesitate|mind|apologi[sz]e|you worry)
why don't
(?:i|we) (?:can't|cannot|can not|couldn't|could not|won't|will not|wouldn't)(?: yet| quite| really)? (?:say|tell|see|hear|find|be sure|be certain|imagine|promise|answer|confirm|speak|guess|think|keep you|be (?:long|a)|know|remember|wait|understand)
(?:this|it|that)(?:'ll| will| should| may| might| could)(?: only| just| probably| not)?(?: take| be) (?:just |only |but )?(?:§|(?:long|quick|brief|a)\b)
(?:this|it|that) won't (?:take|be) (?:long|a)
(?:this|it|that)(?:'ll| will) (?:help|let|allow|make it easier|give) (?:me|us)?
(?:this|it|that)(?:'s| is| isn't| is not| was)(?: really| certainly| definitely| always)?(?: not)? (?:good|nice|ideal|great|fun|easy|an easy|a simple|what you|how|acceptable|uncommon|unusual|always|clear|at all)
isn't (?:it|that|ideal|easy|great|fun|what)
you(?:'re| are)(?: very| most| more than)? welcome(?=[.!,]|$)
(?:help|assist|do for|calling|serve|are|doing)(?: \w+){0,3} today
today(?=[.!]*\?)
(?:opening|business|working|office|store|visiting) hours(?! are| is|:)
these days|good (?:morning|afternoon|evening|day|night)|(?:nice|great|good|wonderful|lovely) (?:day|weekend|week|evening|night)
next time
i'm going to need
"""

_EN_ASKED = (
    r"§(?: (?!(?:and|but|so|then)\b)[\w'§-]++){0,6} "
    r"(?:if|whether|when|what|which|who|where|how|why|what's|who's|where's|when's|how's)\b"
    r"(?:(?! (?:and|but|so|then)\b)[^,;:.!?])*+"
)

_EN_DATE = r"""
(?:mon|tues|wednes|thurs|fri|satur|sun)days?
(?:january|february|april|june|july|august|september|october|november|december)\b
(?:jan|feb|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thurs?|fri)\b(?=\.| \d| the\b)
(?:in|on|by|of|until|till|since|from|through|early|late|mid|last|next|this|before|after|during|end of)[ -](?:march|may)\b(?! i| we| you| be)
(?:march|may) (?:the )?(?:\d|<NUM>|first|third|fif|six|seven|eigh|nin|ten|elev|twel)
(?:today|tonight|tomorrow|yesterday|overnight|midnight|noon|midday)\b
(?:next|last|this|coming|previous|following|end of (?:the |this )?) ?(?:business |working )?(?:<UNIT>|weekend|morning|afternoon|evening|spring|summer|autumn|fall|winter|season)\b
(?:in|during) the (?:morning|afternoon|evening|night|daytime|spring|summer|autumn|fall|winter)\b
(?:weekends?|weekdays|mornings|afternoons|evenings|nightly|hourly|daily|weekly|biweekly|fortnightly|monthly|quarterly|yearly|annually|christmas|easter|new year|thanksgiving|public holidays?|bank holidays?)\b
(?:\d{1,2} ?(?:am|pm|a\.m|p\.m|o'clock)\b|\d{1,2}:\d\d|\d{1,2}(?:st|nd|rd|th)\b|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4})
(?:\w{1,9}-)?(?:\d{1,4}|<NUM>|few|couple|couple of|several|some|many|more|within|business|working|number of)[ -](?:more )?(?:to <NUM> |or <NUM> )?(?:business |working |calendar |full )?<DAYS>\b
(?:\d{1,4}|one|half|half an|within an?|another|every|each)[ -](?:business |working |full |single |other )?<UNIT>\b
(?:at|by|until|till|before|after|around|about|from|since|past|to|for|between) (?:half |quarter )?(?:past |to )?(?:one|<NUM>)(?=(?: sharp| thirty| fifteen| o'clock| in the| on| or|-thirty)?(?:[,.!?]|$| o'clock| sharp| thirty| fifteen| in the| on\b| tomorrow| am\b| pm\b))
(?:one|<NUM>) (?:o'clock|thirty|fifteen|am|pm|a\.m|p\.m)\b
half past|quarter (?:past|to)\b
(?:on|by|until|till|before|after|since|from) the (?:first|second|third)\b(?=[,.!?]|$| of)
(?:the )?(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twentie|thirtie)th\b
(?:twenty|thirty)[ -](?:first|second|third)\b
"""

_EN_AMOUNT = r"""
\w{0,3}\d
(?:<NUM>|ninety|double(?! check)|triple|twice|thrice|half|quarters?|percent|per cent|percentage|dozen|halved|doubled|nought|threefold|twofold)\b
(?:percent|dollars?|euros?|pounds? sterling|bucks|cents?|pence|rubles?|roubles?|yuan|rupees|yen)\b
(?:a|one) (?:third|fifth|tenth) (?:of|off|less|more|cheaper)
one (?:and a|in|out of|left|remaining|person|people|ticket|room|seat|item|piece|copy|time fee|dollar|euro|pound|percent|gigabyte|mile|kilo|bag)
(?:just|only|exactly|at least|at most|up to) (?:the )?one\b(?! (?:moment|second|thing|question|more))
free (?:of charge|shipping|delivery|returns?|wi-?fi|breakfast|parking|cancellation|upgrade|trial|gift|month|replacement|for)
(?:it|that|this|they|shipping|delivery|which|parking|breakfast|entry|\w+s?)(?:'s|'re| is| are| comes?)(?: (?:completely|totally|absolutely|entirely|always|also))? (?:for )?(?:free|complimentary)\b(?! to)
(?:for free|complimentary|no (?:extra |additional )?(?:charge|cost|fee)|without (?:extra |additional )?(?:charge|cost)|on the house|costs? nothing)
full (?:refund|price)
(?:a|\w{1,12}) (?:hundred|thousand|million)
(?:a|\w{1,12}) couple(?! (?:of )?(?:more )?(?:quick )?(?:things|questions))
"""

_EN_SPAN = r"""
(?:an? |per |the (?:same|whole) )<UNIT>\b
(?:by then|anytime soon|<DAYS>)\b
"""

_EN_DONE = r"""
(?:i've|we've) <EVER>(?!an?\b|the\b|to\b|no\b|got\b|heard|understood|been|some|any|one\b|had\b|always|never|all\b|your\b|our\b|§|just (?:got|heard))\w
(?:i|we) have <EVER>(?!limited|detailed|dedicated|advanced|need|indeed|been\b)(?:\w{2,16}ed\b|<ACTED>\b)
(?:i|we) <EVER>(?:did|<ACTED>)\b(?! of)
(?:he|she|they|it|you|(?:the|your|our|my) (?:\w+ ){1,3})(?:'s|'ve| has| have| had|'d|'re) (?:<EVER>(?:gone|left|arrived|come through|<ACTED>)\b)
(?:is|are|am|was|were|be|been|being|get|gets|got|'s|'re|has|have|had|gone) <EVER><ACTED>\b
<OH>(?<![\w'] )(?:(?:all|it's|it is|that's|that is|consider it|and) ){0,2}(?:done|finished|sorted|complete|completed|taken care of|all set|set)\b
(?:all set|all done|all sorted|taken care of|went through|gone through|good to go|done and dusted|under ?way|in progress|in the mail|up and running|successful(?:ly)?|consider it done)\b
(?:is|are|'s|'re|was) (?:now |already |all )?(?:on (?:its|their|the|his|her) way|ready|live|active)\b
(?:your|the|our) (?:[\w-]+ ){1,3}(?:arrived|failed|succeeded|expired|shipped|cleared|left)\b
"""

_EN_PROMISE = r"""
(?:\w+'ll|won't|shall|gonna)\b(?! §)
(?<!free )will\b(?! (?:you|i|we|it|they|he|she|the|your|any|anyone|someone|that be|there be|this be)\b)(?! §)
(?<!are you )going to (?!be (?:a|just)\b|§)\w
(?:let me|let us|let's|allow me)\b
(?:i'm|i am|we're|we are) (?:\w+ly |just |now |already |also )?(?!going\b|<LOOKING>)[a-z]{3,14}ing\b
(?:i|we) (?:can|could|will be able to|'d|would) (?:\w+ly |also |just |even |still )?(?!not\b|§|have\b|say\b)[a-z]
(?:i'd|we'd|i'm|we're|i am|we are|i would be|we would be)(?: be)? (?:more than |very |so )?(?:happy|glad|ready|willing|able|pleased|delighted) to (?!hear|have|meet|be\b)\w
guarante\w+|warrant(?:y|ied)|promises?\b|promised|(?:i|we|i can|we can) assure|rest assured|count on|my word|entitled|commit(?:ted)?\b|vow|swear
(?:you|customers|members|everyone) (?:always |also |automatically |still )?(?:get|receive|earn|qualify)\b(?<!if you get)(?<!when you get)(?<!do you get)(?<!did you get)(?<!do you receive)(?<!did you receive)
(?:someone|somebody|a colleague|an agent|the team|our team|a manager|a technician) (?:is|can|could|should|has)\b
(?:should|would|ought to) (?:arrive|be (?:there|with you|back|ready|fixed|resolved|able)|have (?:it|them|your|that)|get|receive|hear)\b
(?:i|we) (?:offer|refund|compensate|reimburse|replace|cover|deliver)\b
(?:be|are|is|been|get) (?:compensated|reimbursed|eligible)\b|eligible
"""

_EN_ANSWER = r"""
(?:yes|yeah|yep|yup|yea|nope|nah|affirmative|aye)\b(?! or no)
no\b(?! (?:problem|trouble|matter|wonder|one)\b)
<OH>(?<!\w )(?<!\w, )(?:sure|certainly|absolutely|definitely|of course|indeed|naturally|by all means|no problem|no trouble|not a problem|no problem at all|my pleasure|gladly|totally|for sure|with pleasure)\b(?!<BRIDGE>)
<OH>(?<!\w )(?:exactly|precisely|correct|right|true|false|wrong|never|sadly|regrettably|regretfully|granted|agreed)(?:[.!]|$|,(?! (?:so|let|§|i)))
(?:that's|that is|you're|you are|it's|it is)(?: absolutely| quite| totally| exactly| perfectly| completely| not)? (?:right|correct|true|so|it|wrong|incorrect|the case)(?=[.!,]|$)
not (?:at all|really|necessarily|yet|exactly|anymore|any more|as far as)\b
unfortunately(?!,? §)
(?:i'm afraid|i am afraid|afraid) (?:so|not|it|that|we|you|the|there|this|your)\b
i (?:think|believe|guess|suppose|would say|'d say) (?:so|not|yes)\b|i don't think
(?:unable|impossible|forbidden|prohibited|not allowed|not permitted|not possible)\b
"""

_EN_STATED = r"""
(?:can't|cannot|can not|couldn't|won't|don't|doesn't|do not|does not|didn't|isn't|aren't|wasn't|weren't|is not|are not|hasn't|haven't|shouldn't|wouldn't|mustn't|may not|needn't)\b
(?:it|that|this|they|there|we|he|she|you|those|these)(?:'s|'re) (?:\w+ly |still )?not\b
(?:(?:we|they|it|i) (?:no longer|never))\b
(?<![^,;:.!§-] )(?:(?:and|but|then|well|actually|so) )?(?:you|customers|guests|members|everyone|anyone) (?:certainly |definitely |absolutely |also |always |still |actually |even |sure )?(?:can|may|could|are allowed|are able|are free|are welcome|do(?=[.,! ])|qualify)\b(?! (?:hold|wait|be (?:wondering|asking|sure)|have (?:noticed|heard|been)|want|wonder|feel|know|notice|imagine|see|hear|say|tell|trust|repeat))
(?:certainly|definitely|absolutely|sure|of course|naturally|also|so) you (?:can|may|could|are|do)\b
you(?:'re| are)(?: \w+ly| also| more than)? (?:allowed|able|free|welcome|permitted|covered|good)\b
(?<![^,;:.!§-] )(?:you|it|we|they|that|this|there|i|he|she) (?:certainly |definitely |absolutely |actually |still |sure )?(?:do|does|is|are|can|will|did|has|have|would|could|was|were|am)(?: indeed| too)?[.,!]*$
(?<![^,;:.!§-] )(?:we|it|they|that|this) (?:do|does) (?!not\b|you\b)\w
(?:is|are|'s|'re|was|were)(?: (?:also|still|indeed|definitely|certainly|currently|always|usually|completely|fully|perfectly|all|totally|not|no longer|only|already))* (?:available|included|possible|allowed|permitted|required|mandatory|optional|(?:non-?)?refundable|valid|invalid|covered|supported|compatible|unavailable|in stock|out of stock|sold out|closed|true|false|correct|incorrect|fine|okay|ok|welcome|accepted|transferable)\b
"""

ENGLISH = Rules(
    r"\b",
    _EN_FRAGMENTS,
    _EN_HARMLESS,
    _EN_ASKED,
    (
        Table("date", "all", _EN_DATE),
        Table("amount", "all", _EN_AMOUNT),
        Table("date", "said", _EN_SPAN),
        Table("done", "said", _EN_DONE),
        Table("answer", "said", _EN_ANSWER),
        Table("promise", "said", _EN_PROMISE),
        Table("answer", "stated", _EN_STATED),
    ),
)


# --- Chinese ---------------------------------------------------------------------------------------------

# Traditional characters, as far as the rules below use them.
SIMPLIFIED = str.maketrans(
    "這為幫給會將經辦單訂發貨錢點鐘週禮個內兩萬億後當對確實沒錯馬請問題讓們說嗎麼動時間處決應該預約讀找餘額費運"
    "難過開關證訊電話聯繫員險換補償還稍過來無現種樣體話責擔號碼終屬斷記錄從較業務賬帳戶產總價幾歲數倉庫聽續遲壞",
    "这为帮给会将经办单订发货钱点钟周礼个内两万亿后当对确实没错马请问题让们说吗么动时间处决应该预约读找余额费运"
    "难过开关证讯电话联系员险换补偿还稍过来无现种样体话责担号码终属断记录从较业务账账户产总价几岁数仓库听续迟坏",
)

_ZH_FRAGMENTS = {
    # What may stand between "I" and a verb of looking: "我 先 帮 您 仔细 看一下".
    "PRE": r"(?:让|我们?|咱们?|来|去|先|这就|这边|马上|立即|立刻|正在|正|在|现在|就|再次|再|帮|为|给|替|跟|和|与|向|您|你|"
    r"需要|要|会|可以|能|得|尽快|尽量|仔细|认真|好好|重新|进一步|一起|一步步|详细|简单|慢慢|具体|快速|大概|也|都|还|努力|"
    r"必须|系统里?|后台|资料|一下|请|愿意|很乐意|乐意|非常|稍微|首先){0,9}+",
    "LOOK": r"(?:看(?!好了|到了|完了|病)|查(?!到了|好|完)|核实(?!了|完|好)|核对(?!了|完|好)|了解|问(?!题)|"
    r"找(?!您|你|零|到了)|想|搜|检索|翻|读|理解|明白|解释|说|介绍|讲|听|回答|解答|思考|分析|梳理|整理|考虑|研究|判断|"
    r"尽力|试|总结|比较|对比|确认(?!收|好了|了|订|退|预|下单|付|取消)|请教|咨询|回忆|聊|谈|知道|清楚|记一下|提醒|描述)",
    "NUM": r"[0-9零一二两三四五六七八九十百千万半几数]",
    "TIME": r"(?:点|号|日(?!常)|月|年|天|周|星期|礼拜|个(?:半)?(?:月|星期|礼拜|小时|钟头|季度|工作日|交易日|自然日)|小时|"
    r"分钟|分(?=[,.!到前后]|$)|秒|刻钟|季度|工作日|自然日)",
    "OH": r"(?:(?:嗯+|哦+|噢|啊|呃|哎|那|好的?|您好|你好|非常抱歉|很抱歉|抱歉|不好意思|对不起|很遗憾|遗憾的是|可惜|其实|"
    r"这个|亲|当然)[呀啊呢,.! ]+){0,3}+",
    "END": r"(?:[,.!?;]|$)",
    "ASK": r"(?:是否|能否|可否|能不能|可不可以|有没有|是不是|会不会|要不要|行不行|对不对|多少|多久|多长|多大|几|什么|怎么|"
    r"怎样|哪|为什么|谁|如何|何时|吗)",
}

_ZH_HARMLESS = r"""
<PRE><LOOK>
(?:早上|上午|中午|下午|晚上)好
今天(?=有什么|想|需要|过得|怎么)
(?:给|为|让)?[您你]?带?来的?(?:不便|麻烦|困扰|不好)
(?:很?高兴|乐意|竭诚)?(?:能|可以)?[为替]您服务|[让给][您你](?:久等|添麻烦|费心|失望)
(?:可以|能够?)?(?:帮|为|给)(?:到|助)?[您你]?(?=的[吗呢?,.!]|(?:做|提供)?(?:些|点)?什么|忙|$|[吗?,.!])
机会|会议|会员|社会|协会|会计|会话|宴会|晚会|待会|一会|等会|误会|体会|领会|会不会|大会|学会|都会(?=着急|有)
不会(?:太久|太长|耽误|很久|让[您你]等)|(?:可能)?会有(?:点|些)慢
(?:马上|很快|立刻|一会儿?|这就)就?(?:好|来)(?!的)|稍等|稍候|请稍后|稍后(?=[,.!]|$)
不(?:好意思|要紧|客气|着急|清楚|确定|知道|敢|太(?:清楚|确定|明白|了解)|用(?:担心|着急|急|客气|谢)|必(?:担心|着急|客气))
不(?:同|过|一样|仅|仅仅|断|便|少|错的|能(?:乱|随便|马上|立刻|直接)?(?:说|判断|猜|回答|下结论|确定))
没(?:关系|听清|有听清|事)|可能|尽可能|功能|能力|智能|性能|能量|技能|节能|(?:非常|完全|很|特别)?(?:能|可以)(?:够)?(?:体会|感受|想象|体谅)
(?:我们?)?(?:暂时|现在|目前)?(?:无法|不能|没法|还不)(?:完全)?§
可以(?=告诉|说|提供|稍等|描述|详细|先说|再|的话|跟我|和我|从)|如果可以|能(?=告诉|说|提供|再|描述|详细|跟我|和我|具体|先)
一定(?=很|非常|特别|挺|是|要注意)|十分(?!钟|之)|万一|万分|千万(?=别|不|要)|再三|第一(?!天|周|年)|第[一二三](?=个问题|点|步|方面|种)|第三方
(?:给我|等我?|请?稍等|再等|需要|只要|用)一?(?:两|几)?(?:分钟|秒钟?)|一(?:分钟|秒)(?:就好|时间)
一点儿?(?!半|钟|整|[0-9零一二三四五十]|开|关|前|后|到|左|多)
四处|四周|五花八门|乱七八糟|七上八下|三番五次|二维码|百姓|百科|零(?=食|件|售|钱)|两者|两边|一天到晚|半天(?=了)|星期几|周几
几(?:个|种|点|条|方面)(?:问题|情况|方面|细节|信息|原因|可能|因素|地方|要点|需要|值得)
没问题(?=,?(?:§|请|<PRE><LOOK>|稍|您))
放心
"""

# Nothing after "and then" is asked any more.
_ZH_ASKED = r"§(?:(?!并|然后|之后)[^,;:.!?]){0,24}?<ASK>(?:(?!并|然后|之后)[^,;:.!?])*+"

_ZH_DATE = r"""
第?[0-9零一二两三四五六七八九十百千万半]{1,9}+多?(?:到|至|-)?<NUM>{0,4}+多?<TIME>
(?:今|明|后|昨|前|当|次|隔|每|全|改|同)(?:天|日|晚|早)|今年|明年|去年|前年|年[初底末]|月[初底末]|周[一二三四五六日天末]
(?:星期|礼拜)[一二三四五六日天]|[上下这本][个一]?(?:周|星期|礼拜|月|季度|半年)
上午|下午|中午|正午|凌晨|傍晚|晚上|早上|清晨|夜里|夜间|半夜|午夜|早晚
(?:工作|交易|自然|营业|节假|休息)日|[日月年周]内|当场|期间|国庆|春节|元旦|中秋|端午|清明|圣诞|除夕|过年|假期|暑假|寒假|季度|年度
一点(?=半|钟|整|开|关|前|后|到)|[春夏秋冬][季天]
"""

_ZH_AMOUNT = r"""
[0-9二两三四五六七八九十百千万亿零½¼¾]
一(?:元|块(?!儿|去|来)|毛|分钱|半|倍|成|折|公斤|斤|米|公里|升|间|人|个人|次性|度电|兆|吨|晚|概免)
(?:只|仅|就|还)(?:有|剩|要|需|能)?一[个张份台件部套]
几(?:元|块|百|千|万|十|次|间|个人|分钱)
[¥￥$€£₽%‰]|美元|欧元|港币|人民币|块钱|元钱|百分|翻倍|加倍|双倍|减半|半(?:价|数|小时|年|个|折)
免费|免(?:收|运|邮|手续|押|单|息|税)|全免|包邮|不(?:收|要|用|花|另外?收)[您你]?(?:任何|额外)?(?:的)?(?:钱|费|手续费|运费|收费)|全额|全款|无需付费
"""

_ZH_SPAN = r"""
每[周月年]|几<TIME>|打[^,.!?]{0,2}折|不日
"""

_ZH_DONE = r"""
已经?(?!经|§|在|很|尽|久|有|是)
(?:办|弄|搞|处理|取消|退款?|发|寄|改|换|订|约|定|设置|安排|提交|解决|修|更新|下单|完成|登记|开通|关闭|支付|到账|激活|申请|预订|预约|
  预定|通过|生效|重置|转接|通知|联系|报修|升级|注销|绑定|解绑|补|扣|付|查|核实|核对|确认|记录|添加|删除|修改|调整|恢复|撤销|送|收|签收|转|做|
  备注|加急|冻结|解冻|锁定|看|找)(?:好|完|掉|过|成|定|妥|出|到|下来)?(?:去|来)?了(?!解)
(?:改|办|弄|订|约|修|换|设置|安排|准备|处理)(?:好|完|妥)(?:了|[^,.!?]{1,6}了)|(?:好|完)了(?=[.!]|$)
成功|搞定|完毕|办妥|妥了|完成(?!之?[前后]|这|以)|到账了|生效了|在路上了?|刚刚?才?(?:[帮给为替][您你])
"""

_ZH_PROMISE = r"""
会(?!§)|将(?!来|近|军|就|要§)|即将
(?:一定|肯定|绝对|必定|务必|保准)(?:会|能|给|帮|让|可以|为|尽|要|把|退|处理|解决|安排|没|不)
保证|承诺|确保|担保|包(?:您|你|退|换|赔|满意|在我|修)|说到做到|争取|负责|赔|补偿|承担|交给我
(?:帮|给|为|替)[您你](?!的[吗呢]|[吗呢,.?!§]|$|带来|添|造成|服务|忙|做什么)
我们?(?:这就|马上|立刻|立即|现在就|现在|来|去|先)(?!§|[,.]|在|的)
马上|立刻|立即|随后|稍后|回头|尽快|尽早|很快
[您你]?(?:就|都)?(?:能|可以)(?:收到|拿到|得到|获得|享受|享有|领取)
"""

_ZH_ANSWER = r"""
<OH>(?<![^,.!?;: ])(?:对(?:的|呀|啊|<END>)|没错|是(?:的|啊|呀|<END>)|可以(?:的|呀|啊|哦|<END>)|能(?:的|<END>)|行(?:的|啊|呀|<END>)|不(?:行|可以|是|对|<END>)|
  有的|没有(?:的|<END>)|当然(?!,?(?:§|请|稍))|没问题|必须的|正确|确实(?:是|如此|可以|有|<END>)|否<END>|成(?:的|<END>)|错<END>|可不是|好的?,?(?:可以|行))(?!吗|吧\?|\?)
[您你]?说得?(?:对|没错)
"""

_ZH_STATED = r"""
^<OH>(?:不|无法|无需|没|有(?![点些几一人的什])|是(?!§)|需要(?!§|[您你]))
(?<!什么)可以(?!§|吗|[帮为给])|(?<![可功性智才只万所])能(?![§力源耐吗]|[帮为给][您你])|只能|都能
不(?:能|可以?|行|支持|允许|提供|接受|需要?|用|必|得|包含?|含|收|退|予|属于|符合|是)(?!§)|无法(?!§)|没法|没有|未能|无需|禁止|严禁|谢绝
(?:支持|允许|准许|接受|适用|包含|符合|有货|没货|缺货|售罄|现货|有效|无效|属于|含在)
"""

CHINESE = Rules(
    "",
    _ZH_FRAGMENTS,
    _ZH_HARMLESS,
    _ZH_ASKED,
    (
        Table("date", "all", _ZH_DATE),
        Table("amount", "all", _ZH_AMOUNT),
        Table("date", "stated", _ZH_SPAN),
        Table("done", "said", _ZH_DONE),
        Table("answer", "said", _ZH_ANSWER),
        Table("promise", "said", _ZH_PROMISE),
        Table("answer", "stated", _ZH_STATED),
    ),
)


# --- Russian ---------------------------------------------------------------------------------------------

_RU_FRAGMENTS = {
    # Verbs of looking, first person and infinitive. Written without ё.
    "LOOK": r"(?:(?:по|про|пере|рас|о)?(?:смотр(?:ю|им|еть)|сматрив(?:аю|аем|ать))|взгляну|гляну|(?:за)?глян(?:уть|ем)|"
    r"загля(?:ну|нем|дываю|нуть)|(?:пере|про)?провер(?:ю|им|яю|яем|ить|ять)|(?:у|вы)точн(?:ю|им|яю|яем|ить|ять)|"
    r"узна(?:ю|ем|ть)|выясн(?:ю|им|яю|яем|ить|ять)|раз(?:беру|бира(?:ю|ем|ть)|бер[еу]м?|обра)(?:сь|ся|ться)?|"
    r"(?:по|оты)?ищ(?:у|ем)|(?:по)?искать|отыскать|найд(?:у|ем)(?! вам)|найти|помо(?:гу|жем|чь)|подска(?:жу|жем|зать)|"
    r"расска(?:жу|жем|зать)|(?:объясн|поясн)(?:ю|им|ить)|ответ(?:ить|им)|отве(?:чу|чаю)|(?:по)?(?:дум(?:аю|аем|ать))|"
    r"попроб(?:ую|уем|овать)|постара(?:юсь|емся|ться)|стараюсь|поним(?:аю|аем|ать)|пойму|пойм(?:ем)|понять|виж(?:у)|видим|"
    r"слыш(?:у|им)|слушаю|знаю|знать|(?:из|по)?изуч(?:у|аю|им|ить)|свер(?:ю|им|юсь|яюсь|яю|яемся|ить(?:ся)?)|"
    r"спро(?:шу|сить|сим)|спрашиваю|скажу|сказать|говорю|открываю|загружаю|прошу|хо(?:чу|тим|тел(?:а|и)? бы)|"
    r"убе(?:дить|димся)ся|убедиться|вспомн(?:ю|ить)|(?:про)?чита(?:ю|ть|ем)|прочту|перечит(?:аю|ать)|пробегусь|проанализир\w+|"
    r"анализир\w+|оцен(?:ю|ить|им)|сравн(?:ю|ить|им)|обсуд(?:им|ить)|сориентир(?:ую|уем|овать)|начн(?:у|ем)|начать|"
    r"обрат(?:ить)?(?:ся|усь)|жал(?:ею|ко)|сожалею|сочувствую|благодарю|надеюсь|предполагаю|полагаю|запрошу|"
    r"вернусь(?= к вам|(?: с)? (?:с )?ответом|[,.])|за(?:пишу|писываю)(?= ваш| номер| это)|подумаем|жду|подожд(?:у|ем|ать)|займусь(?= ваш| эти)|"
    r"опишу|описать|перейд(?:у|ем)|поговор(?:ю|им|ить)|ознаком(?:люсь|лю|иться)|повтор(?:ю|ить)|слежу|работаю|поделюсь|копаю)",
    "NUM": r"(?:н[оу]л[ьея]\w?|дв(?:а|е|ух|ум|умя)|тр(?:и|ех|ем|емя)|четыр(?:е|ех|ем|ьмя)|пят(?:ь|и|ью)|шест(?:ь|и|ью)|сем(?:ь|и)|"
    r"восемь|восьми|восемью|девят(?:ь|и|ью)|десят(?:ь|и|ью|ок|ка|ки|ков|ками)|\w{2,8}надцат\w{1,3}|двадцат(?:ь|и|ью)|"
    r"тридцат(?:ь|и|ью)|сорока?|(?:пять|шесть|семь|восемь)десят|\w{4,6}идесяти|девяност[оа]|ст[оа]|(?:дв|тр|четыр)\w{1,3}ст[аи]|"
    r"(?:пять|шесть|семь|восемь|девять)сот|\w{1,8}сот|тысяч\w{0,3}|миллион\w{0,3}|миллиард\w{0,3}|пар[ауы]|полтор[аы]|полутора|"
    r"несколько|нескольк(?:их|им)|\d{1,9}(?:[.,]\d{1,9})?)",
    "MONTH": r"(?:январ|феврал|апрел|июн|июл|сентябр|октябр|ноябр|декабр)[ьяею]\w?|марта?|марте|ма[йяею]|август[ае]?",
    "TIME": r"(?:час(?:а|ов|у|ам|ик)?|минут\w{0,2}|дн(?:я|ей|ям|ю)|день|сут(?:ки|ок)|недел\w{1,2}|месяц\w{0,2}|год(?:а|у)?|лет|"
    r"рабоч\w{2,3}|календарн\w{2,3}|ноч(?:ь|и|ей)|утра|вечера)",
    "MOMENT": r"(?:минут(?:у|очк[уи]|к[уи]|ы)|секунд(?:у|очк[уи]|ы)?|момент\w{0,4}|мгновени[ея])",
    # Stems of acts upon the caller's affairs; what stands before or after makes them done or promised.
    "ACT": r"(?:верн|возвра[тщ]|отправ|отсыла|отмен|оформ|сдела|дела|присла|пришл|присыла|высла|вышл(?=[юеу])|высыла|перезвон|позвон|сообщ|забронир|"
    r"заброн|перевед|перевож|перевел|перенес|измен|меня|помен|обнов|исправ|реш|подключ|отключ|включ|начисл|спис|спиш|компенсир|"
    r"возмес|возмещ|заказ|закаж|подготов|готов(?=л)|переда|добав|удал|актив|(?:за|раз)?блокир|подтвер|достав|привез|привоз|прид|"
    r"приед|произвед|произвел|предостав|предлож|увелич|сниз|сниж|устран|замен|обеспеч|продл|откро|откры(?!ва)|закро|закры|"
    r"назнач|зарегистр|регистр|отгру[зж]|зачисл|уведом|настро|провед|провел|организ|установ|соедин|переключ|направ|выда|выпис|"
    r"выпиш|внес|сохран|созда|размест|приня|прим|учт|учел|одобр|соглас(?=ова|ую)|выдал|записал|запиш(?:ем|ет)|свя[зж]|постав|"
    r"сброс|восстанов|починим|починил|почин|пересчит|перерасч|расторг|убер|убра|выполн|заверш|обработ|разблок|выстав|прош[ел]|"
    r"пополн|списа|снял|сним|оплат|оплач|погас|гарант|сократ|дам|дадим|куп|закр|получ|забер|забра|продад|прода|прибуд|поступ|"
    r"состо(?:ится|ялся|ялась)|решит|появ|зарабо|улад|разреш(?=у\b|им\b)|прикреп|загруз|улучш|выбер|подбер|подобра|отпус|ускор)",
    "OH": r"(?:(?:ну|о|ой|ах|здравствуйте|добрый день|хорошо|так|вот|хороший вопрос|отличный вопрос|спасибо|извините|простите|"
    r"понимаю|понял|поняла|а|и|но)[,.! -]{1,3}){0,3}+",
    "BRIDGE": r"(?:,|,? -|,? и| же,?|,? без проблем,?)? ?(?:сейчас |давайте |я |с радостью |с удовольствием |я сейчас |только |минут|буду рад)?"
    r"(?:§|подскажите|назовите|скажите|уточните|секунд|подождите|одн|как|какой|какая|что|чем|где|когда)",
}

_RU_HARMLESS = r"""
(?:<LOOK>)\b
(?:буду|будем) (?:очень )?(?:рад|рада|рады|признател\w+|благодар\w+)(?: (?:вам |вас )?(?:помочь|§))?
готов[аы]? (?:вам |вас )?(?:помочь|§|ответить|выслушать)
(?:не )?(?:могу|можем|смогу|сможем|мог бы|могла бы|могли бы)(?: (?:вам|вас|к вам|я|сразу|пока|это|точно|сейчас))? §
(?:чтобы|надо|нужно|мне нужно|хочется|осталось|давайте|позвольте|разрешите)(?: \w+)? §
добр(?:ый|ого|ое|ой) (?:день|дня|вечер|утро|вечера|ночи)|хорошего (?:дня|вечера)|спокойной ночи
(?:помочь|помог\w*|полез\w+|обслужить)(?: вам)? сегодня
сегодня(?=\?)
(?:буквально |ровно |всего |дайте (?:мне )?|подождите |еще |нужна |нужно |через |на |за )?(?:одн[уао]|один|пар[ауы]|несколько|две|полминут|пол) ?(?:буквально )?<MOMENT>
(?:через|на|за|буквально|секунд|займет|еще|вот|так|подождите) <MOMENT>
(?:один|одна|одно|одну|одного|одной) (?:из|момент\w*|вопрос\w*|нюанс\w*|детал\w+|вещ\w+|за)
(?:пар[ауы]|несколько|нескольких) (?:вопрос\w*|нюанс\w*|детал\w+|момент\w*|слов\w*|вариант\w*|способ\w*|причин\w*|фактор\w*|услови\w*|уточн\w+|вещ\w+|пункт\w*|важных \w+|ключевых \w+)
нет проблем(?![.!]*$)|без проблем(?![.!]*$)|да уж|как можно (?:скорее|быстрее|точнее|подробнее)|если можно|или нет|кого-нибудь
не (?:переживайте|волнуйтесь|беспокойтесь|кладите|вешайте|спешите|торопитесь|за что|хочу|хотелось|уверен\w?|знаю|совсем|очень|до конца|только|всегда|просто|так просто|расслышал\w?|понял\w?|отключайтесь|извольте|стоит (?:волноваться|переживать))
(?:это |он[оаи]? )?(?:не )?(?:займет|будет)(?: совсем)? (?:много времени|недолго|быстро|долго|немного времени|одну|§|проще|легче|удобнее|полезно|лучше)
(?:минутк[уи]|минуточк[уи]|секундочк[уи])\b
спасибо(?: вам| большое){0,2},? (?:что|за) \w+
часы работы|рабочие часы|график работы|время работы|год(?:ится|ный)|режим работы|в (?:первую|свою) очередь|во-вторых|в-третьих
вы (?:можете|могли бы)(?= не (?:волноваться|переживать)| подождать)
"""

_RU_ASKED = (
    r"§(?: (?!(?:и|а|но|тогда|потом)\b)[\w§-]++){0,4}?,? (?:(?!(?:и|а|но|тогда|потом)\b)[\w-]++ ){0,3}?"
    r"(?:ли|когда|как|как\w{2,3}|сколько|где|куда|откуда|что|чем|почему|зачем|кто|кому|если|чей)\b"
    r"(?:(?! (?:и|а|но|тогда|потом)\b)[^,;:.!?])*+"
)

_RU_DATE = r"""
(?:послезавтра|позавчера|завтра|сегодня|вчера|завтрашн\w+|сегодняшн\w+|вчерашн\w+)\b
(?:понедельник\w{0,2}|вторник\w{0,2}|четверг\w{0,2}|пятниц\w{1,2}|суббот\w{1,3}|воскресень\w{1,2}|выходн\w{2,3}|будн(?:и|ям|ях|ий|ие|их|ими|ей|я))\b
(?:в|во|на|до|с|со|к|эту|следующую|каждую|по) сред[уыеа]м?\b
(?:в|с|до|к|по|на|от|середин\w|конц\w|начал\w|\d{1,2}(?:-?го)?|\w{3,12}(?:го|ое)) (?:<MONTH>)\b|(?:январ|феврал|апрел|июн|июл|сентябр|октябр|ноябр|декабр)\w{1,2}\b
(?:утром|вечером|днем|ночью|полдень|полночь|в обед|после обеда|к вечеру|до вечера|с утра)\b
(?:через|в течение|в пределах|за|около|спустя|на|этот|следующ\w+|прошл\w+|эт(?:ой|у|ом)|кажд\w{2,3}|целый|в) (?:<NUM> |один |одн\w{1,2} |следующ\w+ |прошл\w+ |эт(?:ой|ом) )?(?:рабоч\w{2,3} |календарн\w{2,3} )?<TIME>\b
(?:<NUM>|один|одн\w{1,2}|нескольк\w+|\w{1,9}-\w{1,9})[ -](?:рабоч\w{2,3} |календарн\w{2,3} |полных )?<TIME>\b
(?:конц[аеу]|начал[аеу]|середин[аеуы]) (?:следующ\w+ |этой |этого )?(?:дня|недели|месяца|года|лета|зимы|весны|осени)
(?:в|к|до|с|после|около|на) (?:час|полдевятого|пол\w{5,9}|<NUM>)(?=(?: утра| вечера| дня| ночи| ровно| ноль| тридцать| пятнадцать)|[,.!?]|$| и )
(?:четверт|пят|шест|седьм|восьм|девят|десят|\w{2,8}надцат|двадцат|тридцат|втор|перв|треть)(?:ого|его|ое|ье) (?:числа?|<MONTH>)\b|числа\b
(?:ежедневн|еженедельн|ежемесячн|ежегодн|круглосуточн|ежечасн)\w+|полчаса|полгода|получаса|праздник\w*|новый год|нового года|рождеств\w+|пасх\w+
(?:летом|зимой|весной|осенью)\b
\d{1,2}[:]\d\d|\d{1,2}[.]\d{1,2}[.]\d{2,4}
"""

_RU_AMOUNT = r"""
\w{0,3}\d
(?:<NUM>)\b(?! §)
(?:ноль|половин\w{1,2}|треть|трети|четверть|четверти|дюжин\w|вдвое|втрое|вчетверо|дважды|трижды|двойн\w{2,3}|тройн\w{2,3}|двое|трое|обоих|полцены)\b
(?:процент\w{0,3}|рубл\w{1,3}|доллар\w{0,3}|евро|копе[ейк]\w{1,3}|гривен|тенге|бакс\w{0,2})\b
(?:бесплатн\w{1,3}|даром|безвозмездно|задаром|полностью вернут)\b
(?:всего|только|ровно|лишь|осталс[яь]|осталась|осталось|остался|по) (?:один|одна|одно|одну|одному)\b
(?:одн[ау]|один|одного|одной) (?:рубл\w+|тысяч\w|процент\w*|штук\w|раз|человек\w?|номер\w?|мест\w|комнат\w|литр\w?|килограмм\w?|гигабайт\w?|билет\w?)\b
(?:семью|восьмой|пятой|десятой|третьей) (?:част\w+|процент\w+|рубл\w+)
"""

_RU_SPAN = r"""
(?:<TIME>)\b(?<!рабоч)(?<!день)(?<!утра)(?<!вечера)
"""

_RU_DONE = r"""
(?:готово|сделано|решено|улажено|выполнено|успешно|успешн\w{2,3}|все в порядке|порядок)\b
готов[аы]?\b(?! (?:§|к|вам|вас|помочь|ответ|выслуш))
уже (?!§|смотр|провер|ищ|иду|бегу|поня|слыш)\w
(?:я|мы)(?: (?:уже|вам|вас|только что|все|сразу|это|его|ее|их|для вас|вашу?|ваш|только|вот)){0,3}+ (?!был|хотел|мог|думал|поня|услыш|увид|не\b)\w{3,16}(?:ла?|ли|лся|лась|лись)\b
(?:(?:<ACT>)\w{0,9}(?:ла?|ло|ли|лся|лась|лось|лись)|(?:про|за|при|по|у|вы|пере)ш(?:ел|ла|ло|ли))\b(?! бы)
(?:<ACT>\w{0,7})(?:ен|ена|ено|ены|ан|ана|ано|аны|ыт|ыта|ыто|ыты)\b|(?:приня|сня|взя|подня|изъя)т[аоы]?\b
(?!(?:нужен|должен|довольно|важен|данно|рано|странно|планы|страны|цены|связано|связаны|связан|связана|указан\w?|намерен\w?|разрешен\w?|запрещен\w?|включен\w?|предусмотрен\w?|положен\w?)\b)\w{3,14}(?:лено|жено|шено|чено|щено|дено|тено|нено|рено|сено|вано|дано|зано|нято|рыто|бито|вито|лены|шены|чены|жены|щены|ваны)\b
в (?:пути|процессе|обработке|работе)\b
"""

_RU_PROMISE = r"""
(?:обеща\w+|гаранти\w+|обязательно|непременно|обязуемся|обязуюсь|клянусь|ручаюсь|несомненно|можете (?:быть уверены|рассчитывать|не сомневаться)|даю слово|возьму на себя|беру на себя|компенсаци\w+)\b
буд(?:у|ем|ет|ут|ете|ешь)\b(?! ли\b)(?! §)
(?:<ACT>)\w{0,7}(?:у|ю|ем|им|ет|ит|ут|ют|ат|ят|усь|юсь|емся|имся|ется|ится|утся|ются|атся|ятся|дим|дам|даст|дадут)\b
(?:вы|вам|вас|у вас|они|он|она|с вами|специалист|менеджер|мастер|курьер|сотрудник|оператор|коллег[аи])(?: \w+)?(?: \w+)? (?:смож(?:ете|ет|ут|ем)|получите|увидите|перезвон\w+|позвон\w+|свяж\w+|сообщ\w+|вернут|придет|приед\w+|напиш\w+|дадут|ответят|помогут)(?! §)\b
(?:сейчас|сразу|немедленно|тут же|я|мы|давайте|давайте я|вам|вас|все|сам|сама)(?: (?:я|все|вам|вас|же|сразу|это|его|ее|их|для вас|сам|сама)){0,3}+ (?!§|могу|можем|хочу|минуту|секунд|нужн|вашу|буду|тут\b|свою|эту|всю|одну|каждую|пару|кому|чему|тому|этому|всему|самому|ему|многую|вашему|нашему|моему|нашу|мою|своему|другую|такую|прошу|всем|этим|тем|вашим|нашим|моим|своим|иду|бегу|скажем|советую|рекомендую|считаю|чем|затем|зачем|между|поэтому|почему|имею|совсем|видим)\w{3,14}(?:у|ю|ем|им|усь|юсь|емся|имся)\b
(?:могу|можем|смогу|сможем|можно (?:будет)?)(?: \w+)? (?!§)\w{3,16}(?:ть|ться|чь|ти)\b
на связи (?:будем|буду)|вам положен\w+|положен\w{0,2} \w+|имеете право|за наш счет
(?:сможе(?:те|т)|смогут|получи(?:те|т|шь)|вернут|перезвонят|привезут|доставят|приедут|придет|придут|дойдет|окажется)\b
"""

_RU_ANSWER = r"""
(?:да|нет|ага|угу|неа)\b(?! ли\b)(?!, ли)
<OH>(?<!\w )(?<!\w, )(?:конечно|разумеется|безусловно|естественно|верно|правильно|точно|именно|совершенно верно|так точно|несомненно|еще бы|само собой|без проблем|нет проблем|не проблема|с удовольствием)\b(?!<BRIDGE>)
(?:это|вы|все) (?:абсолютно |совершенно )?(?:верно|так|правы|права|прав|правильно|не так|неверно)(?=[.!,]|$)
(?:невозможно|исключено|запрещен\w{0,2}|запрещается|никак нет|ни в коем случае|отнюдь|нисколько|увы|никогда)\b
к сожалению(?!,? (?:я )?(?:пока )?(?:не )?§)
"""

_RU_STATED = r"""
(?:можно|нельзя|возможно(?=[.!]*$)|разрешено|разрешен\w?|разрешается|допускается|допустимо|позволено|не ?допускается)\b(?! ли\b)
(?:можете|вправе|не обязаны|обязаны|не нужно|не надо|не нужен|не нужна|не нужны|не требуется|требуется|необязательно)\b(?! §| подождать)
(?:доступ(?:ен|на|но|ны)|недоступ\w+|имеется|имеются|есть в|в наличии|в продаже|действует|действуют|действител(?:ен|ьна|ьны)|недействител\w+|включен\w{0,1}|входит|входят|предусмотрен\w{0,1}|поддержива\w+|подходит|подойдет|совместим\w{0,1}|положено|работает|принимаем|доставляем|допускаем|оказываем|предоставляем)\b
(?:мы|у нас|он[аои]?|это|там|туда|такое|такие|я|вы|вам|тариф|карта|билет|услуга|товар)(?: [\w-]+){0,2} не (?!§|могли|могл)\w
"""

RUSSIAN = Rules(
    r"\b",
    _RU_FRAGMENTS,
    _RU_HARMLESS,
    _RU_ASKED,
    (
        Table("date", "all", _RU_DATE),
        Table("amount", "all", _RU_AMOUNT),
        Table("date", "said", _RU_SPAN),
        Table("done", "said", _RU_DONE),
        Table("answer", "said", _RU_ANSWER),
        Table("promise", "said", _RU_PROMISE),
        Table("answer", "stated", _RU_STATED),
    ),
)
