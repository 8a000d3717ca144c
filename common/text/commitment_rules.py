"""Phrases that commit and phrases that only bridge, by language; `commitments.py` says how they are read.

Losing a bridge costs a voice call little, a wrong promise costs much. So a word that may be either commits,
and HARMLESS names the phrases in which it does not. Only words that end where the next begins are repeated
without a bound, and none of these repetitions is nested: a sentence that slows the guard down would hold up a
call.
"""

ENGLISH = r"""
# Whoever says this and a verb of looking has said nothing: "I'll just quickly check".
I: let me|let us|let's|allow me to|(i|we)('ll|'d|'m|'re|
  've| am| are| will| shall| would| can| could| may| might| must| should)?( be| got| gonna)?
  ( more than| very)?( (happy|glad|able|pleased|delighted|going|about|trying|here|like|love|need|want|wanted|
  have) to)?
ADV: just|now|first|also|please|then|try (to|and)|go ahead and|be (happy|glad|able) to|do my best to
(need|have|want) to|quick|take a moment to|still|right now|quite|\w{2,12}ly
LOOK: (double|re|cross)[- ]?check|check(?! you| in\b| out\b)|look(?! after)|see(?! to)|search|verify|review
read(?! you)|find (out|that|the (answer|right|details?|information|best|problem|cause|reason)|this|your|it\b|
  some (information|details)|what|where|how|an? (answer|solution|way|better))|find[,.]|consider|understand
explain|clarify|figure (that |this |it )?out|dig|consult|ask(?! (\w+ ){1,3}to )|tell you|help(?! you (get|
  receive|recover|save))|assist|confirm (that|this|the details|whether|if|what|a few|it with|with you)
  (?! your)|pull ((that|it|this|your \w+|the \w+) )?up|pull your|bring ((that|it|this|your \w+|the \w+) )?up
go (over|through|into|and (check|find|look|see|ask))|(walk|take|talk|guide) you through
(say|think)(?! (so|not|yes|no)\b)|(have|take) (a|another|one)( \w+){0,3} (look|think|peek)|take (a note|notes)
get (that|the|some|your|more|this|a bit more|all the)( \w+){0,2} (information|info|details?|answer|file|
  records?|facts|picture|data)|get (right|straight) (on|to|into)|get right back to you|get this right
get to (the bottom|that|it|know|your question)|get started(?! on)|make sure (that )?(i|we|you) (get|
  understand|have|understood|give|got)|give you (the|an?) (\w+ )?(overview|idea|answer|information|details)
make a note|(start|begin)( by| with| from| off|[,.]|$)|know|hear|feel|imagine|appreciate|repeat|rephrase
summari[sz]e|recap|work (this|that|it) out|work through|share (some|what|a few|more)|talk|compare|listen|speak
wait|hold( on|[,.]|$)|put you on hold|need|be (right|back|with you|on it|brief|quick)|be (just )?a (moment|
  second|minute|sec)|let you know (what i|as soon|in a|shortly|right)|do (my best( to help)?|what i can|
  everything i can)(?=[,.!]|$)|open (up )?your (file|record|profile|order)|access|suggest|recommend
apologi[sz]e|thank|answer (that|this|your|the)
LOOKING: ((double|re|cross)-?)?checking|looking|searching|reading|reviewing|verifying|thinking|finding|pulling
bringing up|going (over|through|into)|getting (the|that|your|all)( \w+){0,2} (information|info|details?|
  answer|file|records?|up)|digging|trying to|asking|consulting|hearing|listening|wondering|working|loading
(taking|having) (a|another)( \w+){0,2} (look|think|peek)|waiting|having trouble|confirming|opening (up )?your
speaking|following|hoping|guessing
IM: i'm|i am|we're|we are
NUM: zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(thir|four|fif|six|seven|eigh|nine)teen
twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?|trillions?
dozens?
UNIT: hour|day|night|week|month|quarter|year|decade|weekday|fortnight
UNITS: minutes|hours|days|nights|weeks|months|years|weekdays|weekends
# What may have been done to the caller's affairs.
ACTED: refunded|cancell?ed|confirmed|booked|reserved|(re)?scheduled|processed|completed?|(re)?sent|shipped
dispatched|delivered|e?-?mailed|forwarded|updated|changed|corrected|fixed|(re)?solved|repaired|replaced|added
removed|deleted|closed|(de|re)?activated|enabled|disabled|(un)?blocked|(un)?locked|frozen|approved|accepted
rejected|declined|denied|granted|issued|credited|charged|paid|transferred|submitted|registered|upgraded
renewed|extended|suspended|restored|reset|waived|applied|placed|ordered|created|set up|switched|moved
(dis)?connected|installed|arranged|notified|recorded|saved|verified|(un)?subscribed|signed up|escalated|filed
picked up|returned|sorted|taken care of|handled|reversed|done|finished|taken|made|received|tested
EVER: now|just|already|also|all|been|being|since|both|(gone|went) ahead and|not|\w{3,14}ly
# What may stand before the first word that counts.
OH: ((oh|ah|hi|hello|hey|well|okay|ok|alright|all right|great|good question|great question|hmm|um|uh|so|and|
  but|thanks|thank you|sorry|i'm sorry|good news)[,.! -]{1,3}){0,3}+
FIRST: (?<!\w )(?<!\w, )<OH>
# A clause begins here.
CLAUSE: (?<![^,;:.!§-] )
# "Sure" is a yes, unless this follows: "Sure, let me check."
BRIDGE: (,? (thing|no problem|absolutely|of course)){0,2}+([,!.]|, and|, so| -| and)? (§|thank|i understand|
  i see|i hear|how|what|which|when|where|who|(may|could|can|would|do) (i|you|we)\b|please (hold|wait|bear|
  stay|give|tell|allow)|(happy|glad) §|bear with|hang on|hold on|just (a|one|to|give|checking|looking)\b)
START: \b
HARMLESS: ((please )?<I>|to|and|and then) (<ADV> ){0,5}+<LOOK>(?!\w)|<IM> (<ADV> ){0,5}+<LOOKING>
you('re| are| were|'d| would)? (asking|wondering|saying|calling|like to know|want to know|interested)
((just|give me|hang on|hold on|wait|for|need|take me) ){0,3}+(one|half a|two|a|a few|a couple|a couple of|
  another) (more |quick |brief )?(moment|second|sec|tick|mo)s?\b|(just|give me|hang on|hold on|wait|for|need|
  take me) (just |about )?(one|two|a|a few|a couple of|another) (more )?min(ute)?s?\b|(oh|ah|aw) no\b
no (worries|rush|hurry|idea|doubt|matter|wonder|one|need to (worry|rush|hang|apologi[sz]e|repeat))\b
<IM> not (yet |quite |entirely |completely |really |totally |actually )?(sure|certain|familiar|clear|there)
  ( yet)?|i (do not|don't|didn't|did not|haven't|have not) (yet |quite |really |actually )?(want|know|
  have (that|the|it|this|enough|all|any information|an answer)|see|catch|hear|get|understand|found|checked|
  understood|wish)|(do not|don't) (worry|hang|go|hesitate|forget|mind|apologi[sz]e|you worry)|why don't
(i|we) (can't|cannot|can not|couldn't|could not|won't|will not|wouldn't)( yet| quite| really)? (say|tell|see|
  hear|find|be sure|be certain|imagine|promise|answer|confirm|speak|guess|think|keep you|be (long|a)|know|
  remember|wait|understand)|(this|it|that)('ll| will| should| may| might| could| won't| will not)
  ( only| just| probably| not)* (take|be) (me )?(only |just |but )?(a (moment|second|sec|minute|tick|while|
  bit|little)|long|one (moment|second|minute)|quick|brief)\b|(this|it|that|which)('ll| will) (help|let|allow|
  make it easier|give) (me|us)\b|(this|it|that)('s| is| isn't| is not| was)
  ( really| certainly| definitely| always)?( not)?( an?| very)? (good|nice|ideal|great|fun|easy|simple|
  what you|how|acceptable|uncommon|unusual|always|clear|at all)|isn't (it|that|ideal|easy|great|fun|what)
you('re| are)( very| most| more than)? welcome(?=[.!,]|$)|(help|helping|assist|assisting|do for|doing for|
  calling|serve|are|doing)( \w+){0,3} today|today(?=[.!]*\?)|(opening|business|working|office|store|
  visiting) hours(?! are| is|:)|these days|(nice|great|good|wonderful|lovely) weekend|(anything|something|
  what)( else)?( that| which)? (i|we) (can|could|may) (do|help)
ASKED: §( (?!(and|but|so|then)\b)[\w'§-]++){0,6} (if|whether|when|what|which|who|where|how|why|what's|who's|
  where's|when's|how's)\b((?! (and|but|so|then)\b)[^,;:.!?])*+|\b(if|unless|in case)( (i|we|you|it|they|that|
  this|there) [\w'-]++| [\w'-]++)((?! (and|but|so|then|i|i'll|i'm|we|we'll|you|you'll|it|it'll|
  they)\b)[^,;:.!?])*+
DATE: (mon|tues|wednes|thurs|fri|satur|sun)days?\b|(january|february|april|june|july|august|september|october|
  november|december)\b|(jan|feb|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thurs?|fri)\b(?=\.| \d| the\b)
(in|on|by|of|until|till|since|from|through|early|late|mid|last|next|this|before|after|during|
  end of)[ -](march|may)\b(?! i| we| you| be)|(march|may) (the )?(\d|<NUM>|first|third|fif|six|seven|eigh|nin|
  ten|elev|twel)|(today|tonight|tomorrow|yesterday|overnight|midnight|noon|midday|(lunch|dinner|tea)time|
  close of business)\b|(next|last|this|coming|previous|following|end of (the |this )?) ?(business |working )?
  (<UNIT>|weekend|morning|afternoon|evening|spring|summer|autumn|fall|winter|season)\b
(in|during) the (morning|afternoon|evening|night|daytime|spring|summer|autumn|fall|winter)\b
(weekends?|weekdays|mornings|afternoons|evenings|nightly|hourly|daily|(bi)?weekly|monthly|quarterly|yearly|
  annually|christmas|easter|new year|thanksgiving|public holidays?|bank holidays?)\b|\d{1,2} ?(am|pm|a\.m|
  p\.m|o'clock)\b|\d{1,2}:\d\d|\d{1,2}(st|nd|rd|th)\b|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|(\d{1,4}|<NUM>|few|
  couple|couple of|several|more|business|working)[ -]((to|or) \w+ )?([a-z]+ )?<UNITS>\b|(\d{1,4}|one|half an?|
  within an?|another|every|each)[ -]([a-z]+ )?<UNIT>\b|(at|by|until|till|before|after|around|about|from|since|
  past|to|for|between) (half |quarter )?(past |to )?(one|<NUM>)(?=[,.!?]|
  $| o'clock| sharp| thirty| fifteen| in the| on\b| tomorrow| or\b| and\b| am\b| pm\b|-thirty)
(one|<NUM>)[ -](o'clock|thirty|fifteen|am|pm|a\.m|p\.m)\b|half past|quarter (past|to)\b|(on|by|until|till|
  before|after|since|from) the (first|second|third)\b(?=[,.!?]|$| of)|(twenty|thirty)[ -](first|second|
  third)\b|(four|fif|six|seven|eigh|nin|ten|eleven|twelf|\w{3,5}teen|twentie|thirtie)th\b
AMOUNT: \w{0,3}\d|(<NUM>|double(?![ -]check)|triple|twice|half|quarters?|percent|per cent|percentage|halved|
  doubled)\b|(dollars?|euros?|pounds? sterling|bucks|cents?|pence|rubles?|yuan|yen)\b|(a|one) (third|fifth|
  tenth)\b(?! (party|option|time|person|way|thing|question|one))|one (and a|in|out of|left|remaining|person|
  ticket|room|seat|item|piece|time fee|gigabyte|bag)|(just|only|exactly|at least|at most|
  up to) (the )?one\b(?! (moment|second|sec|thing|question|more|minute))|complimentary|couple of (?!things|
  questions|points|details|options|ways|aspects|steps|seconds|moments|minutes|quick|more)\w
no (extra |additional )?(charge|cost|fee)|without (extra |additional )?(charge|cost)|on the house
(pay|costs?|charges?) nothing|(?<!feel )(?<!you )(?<!i'm )(?<!toll-)free\b(?! (to|up|now|when)\b)
full (refund|price)
SPAN: (an? |per |the (same|whole) )<UNIT>\b|<UNITS>\b|by then\b|before long\b|in no time\b|(coming|arriving|
  due|expected|back|ready|there|here|leaving|leaves|arrives?|starts?|opens?|closes?|ends?|shipping) (very |
  quite |pretty )?(soon|shortly|later|any (time|day|minute) now)
DONE: (i've|we've) (<EVER> ){0,4}+(?!an?\b|the\b|to\b|no\b|got\b|heard|understood|been|some|any|one\b|had\b|
  always|never|all\b|your\b|our\b|§)\w|(i|we) (<EVER> ){0,4}+(did|put|gave|told|spoke|found|bought|rang|wrote|
  left|let|took|ran|brought|made|kept|paid|sent|held|had (it|them|that|your)|got (you|him|her|them|your|the|
  an?)|(?!need|want|mentioned|tried|hoped|apologi|missed|notic|understood|used|indeed|happened)\w{2,14}ed|
  <ACTED>)\b(?! of)|(is|are|am|was|were|been|being|get|gets|got|has|have|had|gone|\w{1,12}'s|\w{1,6}'re|
  \w{1,6}'ve) (<EVER> ){0,4}+(gone|left|arrived|come through|handed|found|<ACTED>)\b|(?<!you )(has|have|had|
  was|were|been|got) (<EVER> ){0,4}+(?!limited|detail|dedicat|advanced|indeed|suppos|interest|confus|worri|
  concern|disappoint|frustrat|need|relat|surpris|nam|mention|ask)\w{2,14}ed\b|(?<!what )went\b(?! wrong)
<FIRST>((all|it's|it is|that's|that is|consider it|and) ){0,2}(done\b|(finished|sorted|complete|completed|
  all set|<ACTED>)(?=[,.!]|$))|(i|we) have (the|your|it|that) (\w+ ){0,2}<ACTED>\b|(all set|all done|
  all sorted|taken care of|went through|gone through|good to go|done and dusted|under ?way|in progress|
  in the mail|up and running|successful(ly)?|consider it done)\b|(is|are|was|were|\w{1,12}'s|
  \w{1,6}'re) (now |already |all )?(on (its|their|the|his|her) way|ready|live|active)\b
(your|the|our) ([\w-]+ ){1,3}(arrived|failed|succeeded|expired|shipped|cleared|left)\b
ANSWER: (yes|yeah|yep|yup|yea|nope|nah|affirmative|aye|uh-huh|mhm)\b(?! or no)|no\b(?! (problem|trouble)\b)
<FIRST>(sure|certainly|absolutely|definitely|of course|indeed|naturally|by all means|no problem( at all)?+|
  no trouble( at all)?+|not a problem|gladly|totally|for sure|with pleasure)\b(?!<BRIDGE>)|<FIRST>((right, )?
  (exactly|precisely|correct)|false|never|sadly|regrettably|regretfully|agreed|deal|right(?!,)|true(?!,)|
  wrong(?!,))(?=[.!,]|$)|(that's|that is|you're|you are|it's|it is)
  ( absolutely| quite| totally| exactly| perfectly| completely| indeed| not)? (right|correct|true|so|it|wrong|
  incorrect|the case)(?=[.!,]|$)|not (at all|really|necessarily|yet|exactly|anymore|any more|as far as)\b
unfortunately(?!,? §)|(i'm afraid|i am afraid|afraid) (so|not|it|that|we|you|the|there|this|your)\b
<FIRST>(negative|nothing|nobody|none)\b|<FIRST>not\b(?! (to worry|sure|certain))|(most|very|quite) (certainly|
  definitely|much so|right|true)\b|without (a|any) doubt|(i'd |i would |i )?(think|believe|guess|suppose|say|
  hope) (so|not|yes)\b|i agree\b|i don't think|(unable|impossible|forbidden|prohibited|not allowed|
  not permitted|not possible)\b
PROMISE: (\w{1,12}'ll|won't|shall(?! (i|we)\b)|gonna)\b(?! §)|(?<!free )(?<!when you )(?<!where you )
  (?<!how you )(?<!time you )will\b(?! (you|i|we|it|they|he|she|the|your|any|anyone|someone|that be|there be|
  this be)\b)(?! §)|(?<!are you )going to (?!be (a|just)\b|§)\w|(let me|let us|let's|allow me)\b
<IM> (\w+ly |just |now |already |also )?(?!going\b|<LOOKING>)[a-z]{3,14}ing\b
(i|we)( can| could| will be able to|'d| would) (\w+ly |also |just |even |still )?(?!not\b|§|have to\b|say\b|
  like\b|love\b|be\b)[a-z]|(i|we)('d| would) (like|love|be happy|be glad) to (?!hear|have|meet|be\b|get\b|
  know\b|keep\b)\w|(i|we) (want|wanted|plan|planned|intend) to (?!be\b|have\b|get\b|keep\b|avoid|do this|
  do it)\w|<FIRST>(happy|glad|delighted) to \w|(i'd|we'd|<IM>|i would|we would)( be)? (more than |very |so )?
  (happy|glad|ready|willing|able|pleased|delighted) to (?!hear|have|meet|be\b)\w|guarante\w+|warrant(y|ied)\b
promises?\b|promised|(i|we|i can|we can) assure|rest assured|count on|my word\b|entitled|committed\b
(?<!if )(?<!when )(?<!do )(?<!did )(?<!once )(?<!after )(you|customers|members|everyone) (always |also |
  automatically |still )?(get|receive|earn|qualify)\b|(someone|somebody|a colleague|an agent|the team|
  our team|a manager|a technician) (is|can|could|should|has)\b|(should|would|ought to) (arrive|be (there|
  with you|back|ready|fixed|resolved|able)|have (it|them|your|that)|get|receive|hear)\b|and (then |just )?
  (get|send|refund|fix|call|(e-?)?mail|cancel|book|change|update|process|replace|transfer|arrange|sort|make|
  have|give|return|ship|credit|waive|issue|resolve|correct|remove|add|let|put|do|take|set|text|forward|file|
  submit|renew|upgrade|extend|apply|reserve|order|offer|come|bring|pay|notify|escalate) (it|that|this|you|
  your|them|the|an?|back)\b|(i|we) (refund|compensate|reimburse|replace)\b|compensat|reimburs|eligible
STATED: [a-z]{2,6}n't\b|cannot\b|(can|do|does|is|are|may) not\b|(it|that|this|they|there|we|he|she|you|those|
  these)('s|'re) (\w+ly |still )?not\b|(we|they|it|i) (no longer|never)\b|<CLAUSE>((and|but|then|well|
  actually|so) )?(you|customers|guests|members|everyone|anyone) (certainly |definitely |absolutely |also |
  always |still |actually |even |sure )?(can|may|could|are allowed|are able|are free|are welcome|do(?=[.,! ])|
  qualify)\b(?! (hold|wait|be (wondering|asking|sure)|have (noticed|heard|been)|want|wonder|feel|know|notice|
  imagine|see|hear|say|tell|trust|repeat))|(certainly|definitely|absolutely|sure|of course|naturally|also|
  so) you (can|may|could|are|do)\b|(?<![^,;:.!-] )(you (?!said|say|sound|seem|mean|meant|mentioned|told|know|
  knew|see|want|wanted|asked|ask|just|look|were|must be|might be|may be|called|feel|like|poor|may |can |
  could |and )|we (?!appreciate|understand|value|apologi|thank|know|see|hear|want|need|are here|were|may |
  might |hope|have to|also want|all\b|both|spoke|talked))\w|(?<![^,;:.!-] )your (?!question|call\b|patience|
  concern|request|feedback|message|point|frustration|line\b|voice|safety|time|understanding)([\w-]+ ){1,4}(is|
  are|was|were|has|have|includes?|covers?|comes?|can|does|needs?|gives?|allows?|costs?|ends?|starts?|
  expires?)\b|you('re| are)( \w+ly| also| more than)? (allowed|able|free|welcome|permitted|covered|good)\b
(can|could|may|might) (also |still |only |easily |always |certainly )?be (<ACTED>|used|exchanged)\b
(has|have|needs?|ought) to be <ACTED>\b|must be <ACTED>\b|against (our|the|company) (policy|rules|terms)
(we|they) (also |still |do )?have (that|it|this|them|those|these|plenty|rooms?|seats?|tables?|availability|
  space)\b|<CLAUSE>(you|it|we|they|that|this|there|i|he|she) (certainly |definitely |absolutely |actually |
  still |sure )?(do|does|is|are|can|will|did|has|have|would|could|was|were|am)( indeed| too)?(?=[.,!]|$)
<CLAUSE>(we|it|they|that|this) (do|does) (?!not\b|you\b|sound|seem|look|make sense|feel)\w|(is|are|was|were|
  \w{1,12}'s|\w{1,6}'re)( (also|still|indeed|definitely|certainly|currently|always|usually|completely|fully|
  perfectly|all|totally|not|no longer|only|already)){0,3} (available|included|possible|allowed|permitted|
  required|mandatory|optional|(non-?)?refundable|valid|invalid|covered|supported|compatible|unavailable|
  in stock|out of stock|sold out|closed|open(?= to| for| until|[,.!]|$)|true|false|correct|incorrect|fine|
  okay|ok|welcome|accepted|transferable)\b|(that|it|this|which) works\b|that's no (problem|trouble)
that's fine|there('s| is| are) ([\w-]+ ){0,4}(available|left|in stock)\b|^(?!so\b|i\b|you\b|we\b|let|please)
  ([\w'-]+ ){1,3}<ACTED>[.!]*$
"""

CHINESE = r"""
# What may stand between "I" and a verb of looking: 我 先 帮 您 仔细 看一下.
PRE: (让|我们?|咱们?|来|去|先|这就|这边|马上|立即|立刻|正在|正|在|现在|就|再次|再|帮|为|给|替|跟|和|与|向|您|
  你|需要|要|会|(?<!不)可以|(?<!不)能|得|尽快|尽量|仔细|认真|好好|重新|进一步|一起|一步步|详细|简单|慢慢|具体|
  快速|大概|也|都|还|努力|必须|系统里?|后台|资料|一下|请|愿意|很乐意|乐意|非常|稍微|首先){0,9}+
LOOK: 看(?!好了|到了|完了|病|护)|查(?!到了|好|完)|核实(?!了|完|好)|核对(?!了|完|好)|了解|问(?!题)
找(?!您|你|零|到了|回)|想|搜|检索|翻|读|理解|明白|解释|说(?!到做)|介绍|讲|听|回答|解答|思考|分析|梳理|整理
考虑|研究(?!生|所)|判断|尽力|试|总结|比较|对比|确认(?!收|好了|了|订|退|预|下单|付|取消)|请教|咨询|回忆|聊|谈
知道|清楚|记一下|提醒|描述|推荐|建议|对一下|核一下
NUM: [0-9零一二两三四五六七八九十百千万半几数]
TIME: 点(?!儿|心)|号(?![院楼线店门码机房馆窗柜])|日(?!常|本)|月|年|天(?!安|坛)|周(?!边|到|围)|星期|礼拜
个半?(月|星期|礼拜|小时|钟头|季度|工作日|交易日|自然日)|小时|分钟|秒|刻钟|季度|工作日|自然日
END: [,.!?;]|$
# What may stand before the first word that counts.
OH: ((嗯+|哦+|噢|啊|呃|哎|那|好的?|您好|你好|非常抱歉|很抱歉|抱歉|不好意思|对不起|很遗憾|遗憾的是|可惜|其实|
  这个|亲)[呀啊呢,.! ]+){0,3}+
ASK: 是否|能否|可否|能不能|可不可以|有没有|是不是|会不会|要不要|行不行|对不对|多少|多久|多长|多大|几|什么|怎么
怎样|哪|为什么|谁|如何|何时|吗
START:
HARMLESS: <PRE><LOOK>|(早上|上午|中午|下午|晚上)好|今天(?=有什么|想|需要|过得|怎么)|(给|为|让)?[您你]?带?来的?
  (不便|麻烦|困扰|不好)|[让给][您你](久等|添麻烦|费心|失望)|(很?高兴|乐意|竭诚)?(能|可以)?[为替]您服务
能?帮[到助][您你]|(可以|能够?)?(帮|为|给)(到|助)?[您你]?(?=的[吗呢?,.!]|(做|提供)?(些|点)?什么|忙|$|[吗?,.!])
机会|会议|会员|社会|省会|协会|会计|会话|宴会|晚会|待会|一会|等会|误会|体会|领会|会不会|大会|学会
会(?=着急|担心|生气|难过)|不会(太久|太长|耽误|很久|让[您你]等)|(可能)?会有(点|些)慢
(马上|很快|立刻|一会儿?|这就)就?(好|来)(?!的)|稍等|稍候|请稍后|稍后(?=[,.!]|$)|不(好意思|要紧|客气|着急|清楚|
  确定|知道|敢|太(清楚|确定|明白|了解)|用(担心|着急|急|客气|谢)|必(担心|着急|客气))
不(同|过|一样|仅|断|便|少|错的)|不能(乱|随便|马上|立刻|直接)?(说|判断|猜|回答|下结论|确定)
没(关系|听清|有听清|事)|尽?可能|功能|能力|智能|性能|能量|技能|节能|(能|可以)够?(体会|感受|想象|体谅|理解)
(我们?)?(暂时|现在|目前|还)?(无法|不能|没法|没有?)(完全|马上|立刻)?(确定|判断|回答|看到|查到|确认|听清|明白|
  给出)|(?<!不)可以(?=告诉|说|提供|稍等|描述|详细|先说|再|的话|跟我|和我)|(?<!不)能(?=告诉|说|提供|再|描述|
  详细|跟我|和我|具体|先)|一定(?=很|非常|特别|挺|是|要注意)|十分(?!钟|之)|万一|万分|千万(?=别|不|要)|再三
第一(?!天|周|年)|第[一二三](?=个问题|点|步|方面|种)|第三方|(给我|等我?|请?稍等|再等|需要|只要|用)一?(两|几)?
  (分钟|秒钟?)|一(分钟|秒)(就好|时间)|一点儿?(?!半|钟|整|[0-9零一二三四五十]|开|关|前|后|到|左|多)|四处|四周
五花八门|乱七八糟|七上八下|三番五次|二维码|百姓|百科|零(?=食|件|售|钱)|两者|两边|一天到晚|半天(?=了)|星期几
周几|[这那][两几][个种款张项]|几(个|种|点|条|方面)(问题|情况|方面|细节|信息|原因|可能|因素|地方|要点|需要|
  值得)|没问题(?=,?(请|稍|<PRE><LOOK>))|请?放心|规定了|决定了|确定了
ASKED: §((?!并|然后|之后|[^以]后再)[^,;:.!?]){0,24}?<ASK>((?!并|然后|之后)[^,;:.!?])*+
(如果|要是|假如|若|除非)[您你我他它这那]?们?((?!我们?(可以|会|就|能|帮|给|来|为|马上)|[您你](就|会|可以)|就|
  可以|会)[^,;:.!?])*+
DATE: 第?[0-9零一二两三四五六七八九十百千万半]{1,9}+多?([到至-]<NUM>{1,4}+)?多?<TIME>
(今|明|后|昨|前|当|次|隔|每|全|改|同)(天|日(?!常)|晚|早)|今年|明年|去年|前年|年[初底末]|月[初底末]
周[一二三四五六日天末]|(星期|礼拜)[一二三四五六日天]|[上下这本]一?个?(周(?!边|围)|星期|礼拜|月|季度|半年)|上午
下午|中午|正午|凌晨|傍晚|晚上|早上|清晨|夜里|夜间|半夜|午夜|(工作|交易|自然|营业|节假|休息)日|[日月年周]内
当场|期间|国庆|春节|元旦|中秋|端午|清明|圣诞|除夕|过年|假期|暑假|寒假|季度|年度
一点(?=半|钟|整|开|关|前|后|到)|[春夏秋冬][季天]
AMOUNT: [0-9二两三四五六七八九十百千万亿零½¼¾¥￥$€£₽%‰]|一(元|块(?!儿|去|来)|毛|分钱|半|倍|成|折|公斤|斤|米|
  公里|升|间|人|个人|次性|度电|兆|吨|晚|概免)|(只|仅|就|还)(有|剩|要|需|能)?一[个张份台件部套]
几(元|块|百|千|万|十|次|间|个人|分钱)|美元|欧元|港币|人民币|块钱|元钱|百分|翻倍|加倍|双倍|减半
半(价|数|小时|年|个|折)|免费|免(收|运|邮|手续|押|单|息|税)|全免|包邮|全额|全款|无需付费
不(另外?)?(收|要|用|花)[您你]?(任何|额外)?的?(钱|费|手续费|运费|收费)
SPAN: 每[周月年]|几<TIME>|打[^,.!?]{0,2}折|不日|改天|近期|不久
DONE: 已经?(?!经|§|在|很|尽|久|有|是)|(办|弄|搞|处理|取消|退款?|发|寄|改|换|订|约|定|设置|安排|提交|解决|修|
  更新|下单|完成|登记|开通|关闭|支付|到账|激活|申请|预订|预约|预定|通过|生效|重置|转接|通知|联系|报修|升级|
  注销|绑定|解绑|补|扣|付|查|核实|核对|确认|记录|添加|删除|修改|调整|恢复|撤销|送|收|签收|转|做|备注|加急|
  冻结|解冻|锁定|看|找)(好|完|掉|过|成|定|妥|出|到|回|上|下来)?(去|来)?了(?!解)|(改|办|弄|订|约|修|换|设置|
  安排|准备|处理)(好|完|妥)(了|[^,.!?]{1,6}了)|(好|完)了(?=[.!]|$)|成功|搞定|完毕|办妥|妥了
完成(?!之?[前后]|这|以)|在路上了?|刚刚?才?([帮给为替][您你])
ANSWER: (?<![^,.!?;: ])<OH>那?(对{1,3}(的|呀|啊|<END>)|没错|是(的|啊|呀|<END>)|可以(的|呀|啊|哦|<END>)|能(的|
  <END>)|行(的|啊|呀|吧)?(?![,.! ]*§)<END>|行的|不(行|可以|是|对|<END>)|有(的|呢|啊|哦|<END>)|没有(的|<END>)|
  当然(?!,?(§|请|稍))|没问题|必须的|正确|确实(是|如此|可以|有|<END>)|否<END>|成的|错<END>|可不是|要的|肯定(的|
  <END>)|一定的|好的?,?(可以|行)|成交|一言为定)(?!吗|吧?\?)|得(对|没错)<END>
PROMISE: 会(?!§)|将(?!来|近|军|就|要§)|即将|(一定|肯定|绝对|必定|务必|保准)(会|能|给|帮|让|可以|为|尽|要|把|
  退|处理|解决|安排|没|不)|保证|承诺|确保|担保|包(您|你|退|换|赔|满意|在我|修)|说到做到
我们?(去|来|会|这就|先)?(把|叫|让(?![您你]))|(专员|专人|师傅|工程师|客服|快递员|经理|同事|人员).{0,4}(会|上门|
  联系|处理|跟进)|争取|负责|赔|补偿|承担|[送赠免减退补寄发换](给)?[您你]|交给我
(帮|给|为|替)[您你](?!的[吗呢]|[吗呢,.?!§]|$|带来|添|造成|服务|忙|做什么)|我们?(这就|马上|立刻|立即|现在就|
  现在|来|去|先)(?!§|[,.]|在|的)|马上|立刻|立即|随后|稍后|回头|尽快|尽早|很快|[您你]?(就|都)?(能|可以)(收到|
  拿到|得到|获得|享受|享有|领取)
STATED: ^<OH>(不|无法|无需|没|有(?![点些几一人的什问任需])|是(?!§)|需要(?!§|[您你]))
(?<!什么)可以(?!§|吗|[帮为给][您你]?)|(?<![可功性智才只万所])能(?![§力源耐吗]|[帮为给][您你])|只能|都能
不(能|可以?|行|用|必)(?!§)|不(支持|允许|提供|接受|需要?|得|包含?|含|收|退|予|属于|符合|是)|无法(?!§)|没法(?!§)
没有(?!§)|未能|[办做退改换开修送订用享参申取发寄赔保]不了|无需|禁止|严禁|谢绝|有权
(我们|酒店|这里|这边|本店|店里|公司|都|也|全部)提供|含(早|税|餐|运费)|(?<![^,.!?;: ])我们(?!§|
  [先再一需很非也正在的来这那都想要可能])|必须(?!§)|包括在|支持|允许|准许|接受|适用|包含|符合|有货|没货|缺货
售罄|现货|有效|无效|属于
"""

RUSSIAN = r"""
# Verbs of looking and of speaking, first person and infinitive.
LOOK: ((по|про|пере|рас)?смотр|(пере)?провер|уточн|(вы|объ|по)ясн|(из|по)уч|свер|оцен|сравн|повтор|вспомн|
  поговор|ответ)(ю|у|им|ить|еть|яю|яем|ять|аю|аем|ать|юсь|яюсь|яемся|иться)|((рас|пере)сматрива|узна|
  (по)?дума|понима|(про|пере)?чита|спрашива|полага|предполага)(ю|ем|ть)|(вз|за)?глян(у|ем|уть)|разберусь
разберемся|разбираюсь|разбираемся|разобраться|(по)?ищ(у|ем)|(по|оты)искать|отыщ(у|ем)|най(ду|дем)(?! вам)
найти|помо(гу|жем|чь)|подска(жу|жем|зать)|расска(жу|жем|зать)|отвеча?ю|отвечу|попроб(ую|уем|овать)
постара(юсь|емся|ться)|стараюсь|пойму|поймем|понять|вижу|видим|слыш(у|им)|слушаю|знаю|знать|чувствую
спро(шу|сить|сим)|скаж(у|ем)|сказать|говорю|открываю|загружаю|прошу|хочу|хотим|хотел(а|и)? бы|убедиться
убедимся|обсуд(им|ить)|начн(у|ем)|начать|обратиться|обращусь|сожалею|сочувствую|благодарю|надеюсь|запрошу
вернусь(?= к вам|( с)? ответом|[,.])|за(пишу|писываю)(?= ваш| номер| это)|жду|подожд(у|ем|ать)|слежу|работаю
откро(ю|ем)(?= (ваш|вашу) (заказ|карточк|договор|заявк|профил|дел|истори|брон))|возьму (паузу|минутку)
NUM: н[оу]л[ьея]\w?|дв(а|е|ух|ум|умя)|тр(и|ех|ем|емя)|четыр(е|ех|ем|ьмя)|пят(ь|и|ью)|шест(ь|и|ью)|семь|семи
восемь|восьми|восемью|девят(ь|и|ью)|десят(ь|и|ью|ок|ка|ки|ков|ками)|\w{2,8}надцат(ь|и|ью)|двадцат(ь|и|ью)
тридцат(ь|и|ью)|сорока?|(пять|шесть|семь|восемь)десят|\w{4,6}идесяти|девяност[оа]|ст[оа]|сот(ня|ни|ню|ен)
двести|двухсот|(три|четыре)ста|(пять|шесть|семь|восемь|девять)сот|\w{3,8}сот|тысяч\w{0,3}|миллион\w{0,3}
миллиард\w{0,3}|пар[ауы]|полтор[аы]|полутора|\d{1,9}([.,]\d{1,9})?
MONTH: (январ|феврал|апрел|июн|июл|сентябр|октябр|ноябр|декабр)\w{1,2}|марта?|марте|ма[йяею]|август[ае]?
TIME: час(а|ов|у|ам|ик)?|минут\w{0,2}|дн(я|ей|ям|ю)|день|сут(ки|ок)|недел\w{1,2}|месяц\w{0,2}|год(а|у)?|лет
ноч(ь|и|ей)|утра|вечера
MOMENT: минут(у|очк[уи]|к[уи]|ы)|секунд(у|очк[уи]|ы)?|момент\w{0,4}|мгновени[ея]
# Stems of what may be done to the caller's affairs; the ending makes it done or promised.
ACT: верн|возвра[тщ]|отправ|отсыла|отмен|оформ|сдела|дела(?!я|ю)|присла|пришл|присыла|высла|вышл(?=[юе])
высыла|перезвон|позвон|сообщ|заброн|переве[дл]|перевож|перенес|измен|меня|помен|обнов|смен|законч|исправ|реш
подключ|отключ|включ|начисл|спи[сш]|компенсир|возме[сщ]|зака[зж]|подготов|переда(?=л|н)|добав|удал|актив
(за|раз)?блокир|подтвер|достав|привез|привоз|прид|приед|произве[дл]|предостав|предлож|увелич|сни[зж]|устран
замен|обеспеч|продл|(от|за)кр(о|ы(?!ва))|назнач|(за)?регистр|отгру[зж]|зачисл|уведом|настро|прове[дл]|организ
установ|соедин|переключ|направ|выда|выпи[сш]|внес|сохран|созда|размест|приня|приме(?=[мт]|те)|учт|учел|одобр
согласу|согласов|записа(?=л|н)|запиш(ем|ет)|подписа(?=л|н)|свя[зж](?!ан)|постав|сброс|восстан|почин|пересчит
убер|убра|выполн|заверш|обработ|выстав|прош[ел]|пополн|сн[яи][лм]|опла[тч]|погас|гарант|сократ|куп(?=[ил])
получ|забер|забра|продад|прода|прибуд|поступ|состо(?=ится|ял)|появ|зарабо|разреш(?=у|им)|выбер|подбер|подобра
отпус|ускор|займе[мт]ся|рассчита|перечисл
# What may stand before the first word that counts.
OH: ((ну|о|ой|ах|здравствуйте|добрый день|хорошо|так|вот|хороший вопрос|отличный вопрос|спасибо|извините|
  простите|понимаю|понял|поняла|а|и|но|§)[,.! -]{1,3}){0,3}+
FIRST: (?<!\w )(?<!\w, )<OH>
# "Конечно" is a yes, unless this follows: "Конечно, сейчас уточню."
BRIDGE: (,|,? -|,? и| же,?|,? без проблем,?)? ?((сейчас|давайте|я|с радостью|с удовольствием|только|могу|
  можем|готова?|рада?|буду рада?|вам) ){0,4}(§|поня|ясно|хорошо|(?<=, )так\b|подскажите|назовите|скажите|
  уточните|секунд|подождите|одн|как|какой|какая|что|чем|где|когда)
START: \b
HARMLESS: <LOOK>\b|(буду|будем) (очень )?(рад|рада|рады|признател\w+|благодар\w+)|готов[аы]? (вам |вас )?
  (помочь|<LOOK>|выслушать)|(не )?(могу|можем|смогу|сможем|мог бы|могла бы|могли бы|удалось|получилось|
  успел\w?)( (вам|вас|к вам|я|сразу|пока|это|точно|сейчас)){0,2} (<LOOK>|расслышать|разобрать)\b
добр(ый|ого|ое|ой) (день|дня|вечер|утро|вечера|ночи)|хорошего (дня|вечера)|спокойной ночи|(помочь|помог\w*|
  полез\w+|обслужить)( вам| тебе)? сегодня|сегодня(?=\?)|(буквально |ровно |всего |дайте (мне )?|подождите |
  еще |нужна |нужно |через |на |за )?(одн[уао]|один|пар[ауы]|несколько|две|полминут|пол) ?
  (буквально )?<MOMENT>\b|(через|на|за|буквально|займет|еще|вот|так|подождите|всего) <MOMENT>\b|минутк[уи]\b
минуточк[уи]\b|секундочк[уи]\b|(?<!за )(?<!в )минут[уы](?=[,.!]|$)|пар[ауы] (вопрос|нюанс|детал|момент|слов|
  вариант|способ|причин|фактор|услови|уточн|вещ)\w+|да уж|не (слышно|видно)|можно сказать|как можно (скорее|
  быстрее|точнее|подробнее)|если можно|или нет|кого-нибудь|не (переживайте|волнуйтесь|беспокойтесь|кладите|
  вешайте|спешите|торопитесь|за что|хотелось|уверен\w?|совсем|очень|до конца|только|всегда|просто|так просто|
  расслышал\w?|понял\w?|отключайтесь|стоит (волноваться|переживать))|не <LOOK>\b|(это |он[оаи]? )?(не )?
  (займет|будет)( совсем)? (много времени|недолго|быстро|долго|немного времени|одну|проще|легче|удобнее|
  полезно|лучше)|спасибо( вам| большое){0,2},? (что|за) \w+|мне (очень |так )?жаль, что так \w+|часы работы
рабочие часы|время работы|в свою очередь|во-вторых|в-третьих|вы (можете|могли бы)(?= не (волноваться|
  переживать)| подождать)|хотел[аи]? бы|вы хотите (?!<ACT>)\w+
ASKED: §( (?!(и|а|но|тогда|потом)\b)[\w§-]++){0,4}?,? ((?!(и|а|но|тогда|потом)\b)[\w-]++ ){0,3}?(ли|когда|как|
  как\w{2,3}|сколько|где|куда|откуда|что|чем|почему|зачем|кто|кому|если|чей)\b((?! (и|а|но|тогда|
  потом)\b)[^,;:.!?])*+|\bесли \w++((?! (то|я|мы|вы)\b)[^,;:.!?])*+
DATE: (послезавтра|позавчера|завтра|сегодня|вчера|завтрашн\w+|сегодняшн\w+|вчерашн\w+)\b|(понедельник\w{0,2}|
  вторник\w{0,2}|четверг\w{0,2}|пятниц\w{1,2}|суббот\w{1,3}|воскресень\w{1,2}|выходн\w{2,3}|будн(и|ям|ях|ий|
  ие|их|ими|ей|я))\b|(в|во|на|до|с|со|к|эту|следующую|каждую|по) сред[уыеа]м?\b|(в|с|до|к|по|на|от|середин\w|
  конц\w|начал\w|\w{3,12}(го|ое)) <MONTH>\b|(январ|феврал|апрел|июн|июл|сентябр|октябр|ноябр|декабр)\w{1,2}\b
(утром|вечером|днем|ночью|полдень|полночь|в обед|после обеда|к вечеру|до вечера|с утра|до утра)\b
(через|в течение|в пределах|за|около|спустя|на|этот|следующ\w+|прошл\w+|эт(ой|у|ом)|кажд\w{2,3}|
  в) (\w+ ){0,2}<TIME>\b|(<NUM>|один|одн\w{1,2}|несколько)[ -](\w+ )?<TIME>\b|(конц[аеу]|начал[аеу]|
  середин[аеуы]) (следующ\w+ |этой |этого )?(дня|недели|месяца|года|лета|зимы|весны|осени)
(в|к|до|с|после|около|на) (час|пол\w{5,9}|<NUM>)
  (?=( утра| вечера| дня| ночи| ровно| ноль| тридцать| пятнадцать)|[,.!?]|$| и )|(четверт|пят|шест|седьм|
  восьм|девят|десят|\w{2,8}надцат|двадцат|тридцат|втор|перв|треть)(ого|его|ое|ье) (числ[ао]|<MONTH>)\b
(ежедневн|еженедельн|ежемесячн|ежегодн|круглосуточн|ежечасн)\w+|полчаса|полгода|получаса|праздник\w*|новый год
нового года|рождеств\w+|пасх\w+|(летом|зимой|весной|осенью|на днях)\b|\d{1,2}[:]\d\d
\d{1,2}[.]\d{1,2}[.]\d{2,4}
AMOUNT: \w{0,3}\d|<NUM>\b(?! §)|(половин\w{1,2}|треть|трети|четверть|четверти|дюжин\w|вдвое|втрое|вчетверо|
  дважды|трижды|двойн\w{2,3}|тройн\w{2,3}|двое|трое|обоих|пополам|полцены)\b|(процент\w{0,3}|рубл\w{1,3}|
  доллар\w{0,3}|евро|копе[ейк]\w{1,3}|гривен|тенге|бакс\w{0,2}|бесплатн\w{1,3}|даром|безвозмездно)\b
(всего|только|ровно|лишь|осталс[яь]|осталась|осталось|остался|по) (один|одна|одно|одну|одному)\b(?! (вопрос|
  нюанс|момент))|(одн[ау]|один|одного|одной) (рубл\w+|тысяч\w|процент\w*|штук\w|раз|человек\w?|номер\w?|
  мест\w|комнат\w|литр\w?|килограмм\w?|гигабайт\w?|билет\w?)\b
SPAN: <TIME>\b(?<!день)(?<!утра)(?<!вечера)|вскоре|скоро(?! §)\b|в ближайш\w+ (время|дни|час\w*|дн\w+)
DONE: (готово|сделано|решено|улажено|выполнено|успешно|успешн\w{2,3}|порядок|все в порядке)\b
готов[аы]?\b(?! (§|к|вам|вас|помочь|ответ|выслуш))|уже (?!§|смотр|провер|ищ|иду|бегу|поня|слыш)\w
в (пути|процессе|обработке)\b|(я|мы)( (уже|вам|вас|только что|все|сразу|это|его|ее|их|для вас|вашу?|ваш|
  только|вот)){0,3}+ (?!был|хотел|мог|думал|поня|услыш|увид|не\b)\w{3,16}(ла?|ли|лся|лась|лись)\b
(<ACT>\w{0,9}(ла?|ло|ли|лся|лась|лось|лись)|(про|за|при|у|вы|пере)ш(ел|ла|ло|ли))\b(?! бы)
<ACT>\w{0,7}(ен|ена|ено|ены|ан|ана|ано|аны|ыт|ыта|ыто|ыты)\b|(приня|сня|взя|подня|изъя)т[аоы]?\b
<ACT>н[аоы]?\b|(?<![^,;:.!-] )(?!поня|услыш|слыш|увид|был|хотел|мог|жал|дума|забы|знал|ста[лн]|случ|звуча|
  бывал|каза)\w{2,12}[аяиеыу]л(а|и|ся|ась|ись)?(?= (вам|вас|ваш\w{0,3}|все|его|ее|их|это|за)\b|[.!]*$)
выслан\w?\b|(ваш|ваша|ваше|ваши) (\w+ ){1,2}(?!(важ|нуж|понят|страш)\w+\b)\w{3,14}([аея]н|[аея]н[аоы]|[яы]т|
  [яы]т[аоы])\b|(?!(важен|данно|рано|странно|планы|страны|связан\w?|указан\w?|намерен\w?|разрешен\w?|
  запрещен\w?|включен\w?|предусмотрен\w?|положен\w?)\b)\w{3,14}([лжшчщдтнрс]ено|[вдзк]ано|зано|нято|рыто|бито|
  вито|[лшчжщ]ены|[шчщ]ен[ао]?|[вз]аны)\b
ANSWER: (да|нет(?! проблем)|неа|договорились)\b(?!,? ли\b)|<FIRST>((абсолютно |совершенно |полностью )?(верно|
  точно|прав\w{0,2})|ага|угу|конечно|разумеется|безусловно|естественно|правильно|именно|так точно|несомненно|
  еще бы|само собой|без проблем|нет проблем|не проблема|с удовольствием)\b(?! ли\b)(?!<BRIDGE>)
(это|вы|все) (абсолютно |совершенно )?(верно|так|правы|права|прав|правильно|не так|неверно)(?=[.!,]|$)
(невозможн\w+|невозможен|исключено|запрещен\w{0,2}|запрещается|никак нет|ни в коем случае|отнюдь|нисколько|
  увы|никогда)\b|к сожалению(?!,? (я )?(пока )?(не )?§)
PROMISE: (обеща\w+|гарантир\w+|(да(ем|ю)|есть|с) гаранти\w+|обязательно|непременно|обязуемся|обязуюсь|клянусь|
  ручаюсь|несомненно|можете (быть уверены|рассчитывать|не сомневаться)|да(ю|ем)( вам)? слово|возьму на себя|
  беру на себя|компенсаци\w+)\b|буд(у|ем|ет|ут|ете|ешь)\b(?! ли\b)(?! §)|<ACT>\w{0,7}(у|ю|ем|им|ет|ит|ут|ют|
  ат|ят|усь|юсь|емся|имся|ется|ится|утся|ются|атся|ятся)\b(?<!ку)(?<!мену)(?<!плату)(?<!дачу)(?<!ию)(?<!ием)
  (?<!заказу)(?<!возврату)(?<![щншвт]ую)(?<![аяу]ет)(?<![аяу]ют)(?<![аяу]ется)(?<![аяу]ются)(?<!учет)
(сдела|поменя)(ет|ют)(ся)?\b|(пере|от|вы|про|за|при|с|раз|по)?(дам|даст|дадим|дадут)(ся)?\b
(?<![^,;:.!§-] )(?!§|(так|как|друг|эт|наш|ваш|сво|мо|сам|одн|больш)им\b|[вн]ашу\b|(т|вс|ч|зат|зач|прич|совс|
  нич|общ|пробл)ем\b|прин(осим|ошу)|просим|боюсь|извиняюсь|беспокоюсь|признаюсь|цен(ю|им)\b|вер(ю|им)\b|имею|
  помню|держу|говорим|могу|можем|занимаюсь|задачу|продажу|выдачу)\w{2,12}([лрн]ю|[жчшщ]у|[рсз]ую|
  [нрджлзтвь]ем|[вжлшчдзтсмрнпб]им|емся|имся|усь|юсь)\b|(вы|вам|вас|у вас|они|он|она|с вами|специалист|
  менеджер|мастер|курьер|сотрудник|оператор|коллег[аи])( \w+)?( \w+)? (смож(ете|ет|ут|ем)|получите|увидите|
  перезвон\w+|позвон\w+|свяж\w+|сообщ\w+|вернут|придет|приед\w+|напиш\w+|дадут|ответят|помогут)(?! §)\b
(специалист|менеджер|мастер|курьер|сотрудник|оператор|коллег[аи]|инженер|водитель|врач|компания|банк)
  ( \w+){0,2} \w{2,12}([еи]т|[уюая]т)(ся)?\b|(сейчас|сразу|немедленно|тут же|я|мы|давайте|давайте я|вам|вас|
  все|сам|сама)( (я|все|вам|вас|же|сразу|это|его|ее|их|для вас|сам|сама|\w{2,9}о\b)){0,3}+ (?!§|могу|можем|
  минуту|секунд|нужн|(ваш|наш|мо|сво|тво|эт|вс|т|одн|кажд|друг|так|чь|как)(у|ю|ую|ей|им|ем|ему|ой|ом|ому)\b|
  буду|тут\b|пару|кому|чему|иду|бегу|советую|рекомендую|считаю|чем|затем|зачем|между|поэтому|почему|имею|
  совсем|являюсь)\w{3,14}(у|ю|ем|им|усь|юсь|емся|имся)\b|(могу|можем|смогу|сможем)( \w+)? (?!§)\w{3,16}(ть|
  ться|чь|ти)\b|на связи (будем|буду)|вам положен\w+|положен\w{0,2} \w+|за наш счет|(сможе(те|т)|смогут|
  получи(те|т|шь)|вернут|перезвонят|привезут|доставят|приедут|придет|придут|дойдет|окажется)\b
STATED: (можно|нельзя|возможно(?=[.!]*$)|разрешено|разрешен\w?|разрешается|допускается|допустимо|
  позволено)\b(?! ли\b)|(можете|вправе|имеете право|не обязаны|обязаны|обязател(ен|ьна|ьны)|не нужно|не надо|
  не нужен|не нужна|не нужны|не требуется|требуется|необязательно)\b(?! §| подождать)
(?<![^,;:.!-] )(вам (?!удобно|помочь|§|слышно)|у вас (?!вопрос|какой|есть вопрос)|вы (?!про\b|о\b|не\b|и\b|
  наверн|§|говор|спраш|имеете|хот|сказ|упомян|зада|позвон|обрат|слыш|види|пиш|интерес|пережив|беспоко|расстро|
  стол|ищ|зна|указ|назв|про|ближ|могли|из)\w+ ?)\w*|(доступ(ен|на|но|ны)|недоступ\w+|^<OH>есть(?! ли| §)|
  имеется|имеются|есть в|есть(?=[.!,]|$)|в наличии|в продаже|действует|действуют|действител(ен|ьна|ьны)|
  недействител\w+|включен\w?|входит|входят|предусмотрен\w?|поддержива(ет|ют|ем)\w{0,2}|подходит|подойдет|
  совместим\w?|положено|работает|принимаем|доставляем|допускаем|оказываем|предоставляем)\b|(мы|у нас|он[аои]?|
  это|там|туда|такое|такие|я|вы|вам|вас|тариф|карта|билет|услуга|товар)( [\w-]+){0,2} не (?!§|могли|могл)\w
"""
