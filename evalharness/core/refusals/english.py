"""How refusals are worded in English."""

from __future__ import annotations

from .language import Language

__all__ = ["ENGLISH"]

_ADVERB = (
    r"(?: (?:really|currently|simply|just|unfortunately|personally|directly|knowingly|ethically|legally|actually|"
    r"in good conscience|therefore|respectfully|and (?:will|should|must) not|and won't))*"
)
_I_CANNOT = (
    r"(?:(?:I )?(?:can ?not|can't|cant)|I (?:won't|will not|shouldn't|should not|must not|don't think I can|"
    r"don't believe I can|(?:would not|wouldn't|will not|won't) be able to|do not|don't)|"
    r"(?:I am |I'm )?(?:unable to|not able to)|"
    r"(?:I am|I'm) not (?:going to|allowed to|permitted to|programmed to|designed to|authorized to|willing to|"
    r"in a position to))"
) + _ADVERB
_MAKE = (
    r"(?:provide|give|offer|share|supply|write|create|generate|produce|compose|draft|discuss|answer|respond to|"
    r"engage (?:in|with)|participate in|take part in|facilitate|promote|endorse|condone|encourage|disclose|reveal|"
    r"assist (?:in|with)|support|roleplay|role-play|fulfil|fulfill|complete|process|accommodate)"
)
_QUALITY = (
    r"(?:any|the|such|this|that|these|those|an?|your|of|kind|type|sort|explicit|sexually|sexual|detailed|specific|"
    r"step-by-step|harmful|illegal|unlawful|unethical|personal|medical|legal|financial|hateful|graphic|violent|"
    r"dangerous|offensive|discriminatory|racist|sexist|inappropriate|personalized|professional|private|confidential|"
    r"further|direct|or|and|on|about|you|with|you with|political)"
)
_MATTER = (
    r"(?:information|instructions?|guidance|advice|assistance|content|material|help|steps|recipes?|details|code|"
    r"jokes?|stor(?:y|ies)|poems?|scripts?|guides?|tutorials?|lists?|responses?|answers?|articles?|essays?|messages?|"
    r"emails?|requests?|questions?|topics?|opinions?|images?|lyrics|scenarios?|role-?plays?|malware|exploits?|weapons?|"
    r"activit(?:y|ies)|conversations?|behaviou?rs?|medical advice|legal advice|hate speech|violence|discrimination)"
)
_HARM = (
    r"(?:self-harm|suicide|violence|violent|harass\w*|hate|hateful|discriminat\w+|abuse|abusive|terror\w+|fraud\w*|scams?|"
    r"cheating|plagiari\w+|malware|illegal|harmful|dangerous|unethical|explicit|weapons?|bombs?|explosives?|drugs?|crimes?|"
    r"propaganda|misinformation|disinformation|slurs?|racis\w+|sexis\w+|defamatory|phishing)"
)
_EVIL = (
    r"(?:stalk|steal|poison|bully|harass|blackmail|attack|kill|hurt|deceive|manipulate|spy|track|forge|fake|bypass|evade|"
    r"break|smuggle|threaten|trick|scam|impersonate|dox|sabotage|launder|counterfeit|pirate|crack)"
)
_ASKED = r"(?:requests?|questions?|query|queries|inquiry|task|prompt|instructions?|commands?|demands?)"
_THAT = (
    rf"(?:that|this|it|these|those|anything|such|your {_ASKED}|(?:that|this|the|these|such|any) (?:\w+ )?{_ASKED}|"
    r"harmful|illegal|unethical|\w+ing\b)"
)
_HELP = (
    rf"(?:help|assist|be of (?:help|assistance)|be able to (?:help|assist))(?: you)?"
    rf"(?:(?: out)? (?:with|in|on) {_THAT}(?!\w)|(?: here| out| there)?(?: ?[.,;!]| ?$)|"
    r" (?:create|write|make|build|plan|generate|commit|cheat|hack|develop|design|harm|do (?:that|this))\b"
    rf"| (?:to )?{_EVIL}\b)"
)
_GERUND = (
    r"(?:writing|creating|providing|generating|discussing|helping|assisting|answering|sharing|engaging|producing|"
    r"participating|roleplaying|responding|continuing|giving|making)"
)
_TO_ANSWER = (
    r"(?:answer|help|assist|provide|write|create|generate|produce|participate|engage|comply|discuss|respond|fulfil|"
    r"fulfill|share|continue|do (?:that|this))\b"
)
_HOW = (
    r"(?:tell|teach|show|explain|describe|advise|instruct|walk)(?: to)?(?: you| anyone| people)?(?: through| on)?"
    r" how to\b"
)
_AI = (
    r"(?:AI|A\.I\.|artificial intelligence|language model|LLM|virtual assistant|digital assistant|chatbot)(?!\w)"
    r"(?! (?:researcher|engineer|scientist|expert|professor|student|developer|specialist|company|lab|team))"
)
_ASSISTANT = r"assistant\b(?! (?:professor|manager|director|coach|editor|teacher))"
_SORRY = r"(?:(?:I'm|I am) )?(?:(?:really|so|very|truly|terribly|deeply) )?sorry"
_PAUSE = r"(?:[,.;:!]| -| –| —)*(?: but\b,?| that\b(?= I\b))?"
_SOURCE = (
    r"(?:text|passage|context|information|article|documents?|paragraph|table|excerpt|story|source|transcript|data)"
)

ENGLISH = Language(
    begins=(
        "i |i'|sorry|so sorry|very sorry|terribly sorry|really sorry|my |please accept|sincere|apolog|"
        "unfortunately|regrettably|however|but |so |no, |while i|although i|though i|thank|as a|as your|can't|"
        "cannot|can not|cant |let's |unable|not able|that|this|it|your|the "
    ),
    lead="|".join(
        (
            rf"{_SORRY} (?:that|you|to|about|for|if)\b[^.!?,]{{0,80}},? but\b",
            rf"{_SORRY}(?: to (?:hear|say)[^.!?,]{{0,60}})?(?: about that)?{_PAUSE}",
            r"(?:(?:I|my|please accept my)\s)?(?:do |sincere(?:ly|st)? |deepest )?apolog(?:ies|i[sz]e|y)"
            rf"(?: for (?:any|the|this|that)[^.!?,]{{0,40}})?{_PAUSE}",
            r"(?:but |however, )?(?:unfortunately|regrettably),?|however\b,?|but\b,?|so\b,?",
            r"let's (?:talk about|discuss|change|move on)\b[^.!?]{0,60}[.!]",
            r"(?:I'm|I am) afraid(?: that)?",
            r"I (?:\w+ )?(?:understand|appreciate|realize|realise|recognize|hear|see|get)\b[^.!?]{0,200}?"
            r"(?:,? but\b|[.;] (?:however|but|unfortunately)\b,?)",
            r"(?:while|although|though) I [^.!?,]{0,160},",
            r"I (?:aim|try|strive|want|would love|'d love|would like|'d like)[^.!?]{0,120}?,? but\b",
            r"(?:thank you|thanks) for [^.!?]{0,120}?(?:,? but\b|[.!,])",
            rf"as (?:an?|your)\b[^.,!?]{{0,60}}?\b(?:{_AI}|{_ASSISTANT})[^.,!?]{{0,60}}?(?:,|(?= (?:I|it)\b))",
            r"(?:I'm|I am) (?:just |only |merely )?(?:(?:programmed|designed|trained) to be )?an?\b[^.,!?]{0,40}?"
            rf"\b(?:{_AI}|{_ASSISTANT})[^.,!?]{{0,60}}?"
            r"(?:[,.;](?: (?:and|so|but)\b,?)?| and(?= (?:I|do not|don't|cannot|can't)\b))",
            r"I (?:must|have to|need to|want to|should|would like to) (?:clarify|inform you|point out|emphasi[sz]e|"
            r"stress|be clear|let you know|remind you|note)(?: that\b|,|:)?",
        )
    ),
    always="|".join(
        (
            rf"(?:no, )?{_I_CANNOT} {_HELP}",
            rf"(?:no[,.] )?{_I_CANNOT} do that(?: for you)? ?(?:[.!]|$)",
            rf"{_I_CANNOT} (?:discuss|talk about|answer|share|write|create) (?:that|this)"
            r"(?: (?:topic|subject|question|matter|kind of \w+))?(?: with you)? ?(?:[.!]|$)",
            rf"I (?:do not|don't) have (?:the ability|permission|authority|authorization) to (?:{_HELP}|"
            rf"{_TO_ANSWER} (?:that|this|such|any)\b)",
            r"I(?:'m going to| must| have to| need to| will have to|'ll have to)(?: \w+ly)? (?:decline|refuse)"
            r"(?: (?:this|that) one)? ?(?:[.!]|$)",
            rf"{_I_CANNOT} (?:comply(?: with)?|fulfil|fulfill|honou?r|accommodate|process|complete|carry out|grant|"
            rf"proceed with|continue with|go along with)(?: ?[.,;!]| ?$| (?:that|this|your|such|the|these|those|any)"
            rf"(?: \w+)?(?: {_ASKED}| (?:conversation|topic|discussion|scenario|line))\b| (?:that|this) ?[.,;!])",
            r"I(?:'m going to| must| have to| need to| will have to|'ll have to| would have to| am going to)"
            r"(?: have to)?(?: \w+ly)?"
            rf" (?:decline|refuse)(?: to {_TO_ANSWER}| (?:that|this|your|the|such) (?:\w+ )?{_ASKED})",
            rf"I(?:'ll| will)?(?: \w+ly)? (?:decline|refuse) (?:to {_TO_ANSWER}|(?:that|this|your|such) {_ASKED})",
            rf"(?:I'm|I am) not comfortable (?:(?:with )?{_GERUND}\b|with (?:that|this|your|such) ?"
            rf"(?:{_ASKED}|topic|[.,;!]))",
            rf"I (?:don't|do not) feel (?:comfortable|right) {_GERUND}\b",
            r"(?:I'd|I would) (?:rather|prefer) not (?:to )?(?:answer|discuss|help|assist|engage|comment|respond|"
            r"participate|do that|talk about)\b",
            r"(?:that|this|it)(?:'s| is) (?:something|a (?:topic|subject|request|question)) (?:that )?"
            r"I (?:can't|cannot|can not|won't|am unable to|'m unable to|'m not able to|am not able to) "
            r"(?:help|assist|do|discuss|answer|provide|engage)",
            r"(?:that|this|it)(?:'s not| is not| isn't) (?:something|a (?:topic|subject|request|question)) (?:that )?"
            r"I(?:'m| am)? (?:can|able to|will|comfortable|willing to|allowed to) ?(?:help|assist|do|discuss|answer|"
            r"provide|engage|with)",
            r"(?:your|this|that|the) (?:request|question|prompt|query|message)[^.!?]{0,60}?(?:violates?|goes against|"
            r"is against|conflicts? with|breaches|contravenes)[^.!?]{0,50}(?:polic|guideline|terms|rules|ethic|law)",
            r"it(?:'s| is| would be| would) (?:not (?:be )?(?:appropriate|ethical|right|acceptable)|inappropriate|"
            r"unethical|irresponsible|against my \w+) for me to\b",
            r"my (?:\w+ )?(?:guidelines|policy|policies|programming|principles|rules) (?:(?:do not|don't|does not|"
            r"doesn't|won't) (?:allow|permit|let)|prohibits?|prevents?|forbids?)\b",
            r"it(?:'s| is) (?:against|outside|beyond|not within) my (?:\w+ )?"
            r"(?:programming|guidelines|policy|policies|principles)\b",
        )
    ),
    unhedged="|".join(
        (
            rf"{_I_CANNOT} {_MAKE} (?:{_QUALITY} ){{0,5}}"
            rf"(?:(?!(?:my|our|his|her|their|its|full|complete|exact|another)\b)\w+ )?{_MATTER}\b",
            rf"{_I_CANNOT} {_MAKE}(?: (?:or|and) \w+)? (?:\w+ ){{0,3}}?{_HARM}\b",
            rf"{_I_CANNOT} {_HOW}",
        )
    ),
    after_lead="|".join(
        (
            rf"{_I_CANNOT} {_MAKE}\b(?! (?:up|in|it my|you (?:up|enough))\b)",
            rf"{_I_CANNOT} (?:do|say|allow|make) (?:that|this|such|so)"
            r"(?: ?[.,;!]| ?$| for you| (?:kind|type|sort) of)",
            rf"{_I_CANNOT} make (?:up )?(?:an?y? )?(?:\w+ )?"
            r"(?:jokes?|content|statements?|judg\w+|bombs?|weapons?|drugs?)\b",
        )
    ),
    lacking="|".join(
        (
            r"\b(?:based on|according to|from|in|within|using|given) (?:only )?(?:the|this|your|that)"
            rf"(?: given| provided| above| available| supplied)* {_SOURCE}\b",
            rf"\b{_SOURCE}\b[^.!?]{{0,40}}? (?:does not|doesn't|do not|don't|is not|isn't|are not|aren't|was not|"
            r"wasn't|has no|lacks?|is missing|is incomplete|is unclear)\b",
            r"\bnot (?:enough|sufficient)|\binsufficient",
            r"\bwithout (?:more|further|additional|knowing|seeing|having|access to the)\b",
            r"\bwithout (?:the|an?|any|your) (?:\w+ )?"
            rf"(?:{_SOURCE}|file|image|values?|details|question|rest)\b",
            r"\b(?:is|are|was|were|been) not (?:mentioned|stated|specified|given|provided|included|attached)\b",
            r"\b(?:please|could you|can you|would you|unless you|if you)(?: please| could| can)? (?:provide|share|"
            r"paste|attach|upload|send|clarify|specify|give me|tell me)\b",
            r"\bno (?:text|passage|file|image|article|document|context|attachment)\b",
            r"\b(?:don't|do not) (?:see|have) (?:any|an?|the|enough|sufficient) "
            r"(?:text|passage|file|image|article|document|context|attachment|information|details)\b",
            r"\b(?:haven't|have not|didn't|did not) (?:provided?|attach(?:ed)?|includ\w+|shared?|specif\w+)\b",
            r"\bmore (?:information|context|details?)\b|\bmissing\b|\bfor (?:certain|sure)\b",
        )
    ),
    hedge=(
        r"\b(?:but|however|though|although|yet)\b,?(?! (?:please|let me know|feel free|if you|"
        r"you (?:can|may|should|could|might)|I(?:'m|'d| am| would| could| will|'ll| encourage| recommend| suggest|"
        r" hope| urge| can (?:help|assist|offer|suggest|provide|point|direct|discuss|recommend))\b))"
    ),
    machine=rf"\b(?:{_AI}|{_ASSISTANT})",
    of_machine="|".join(
        (
            rf"{_I_CANNOT} \w+",
            r"(?:I )?(?:(?:do not|don't) (?:have|possess|hold|experience|form)|have no|lack)\b[^.!?]{0,60}?\b"
            r"(?:opinions?|beliefs?|feelings?|emotions?|preferences?|views?|experiences?|consciousness|access|"
            r"ability|capabilit(?:y|ies)|stance)\b",
        )
    ),
)
