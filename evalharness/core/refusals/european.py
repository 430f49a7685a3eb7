"""How refusals are worded in German, French, Spanish, Italian and Portuguese."""

from __future__ import annotations

from .language import Language

__all__ = ["FRENCH", "GERMAN", "ITALIAN", "PORTUGUESE", "SPANISH"]

GERMAN = Language(
    begins="es tut|tut mir|ich |entschuldigung|verzeihung|leider|bedauer|aber |als |da|hierbei|kann ich|darf ich",
    lead=(
        r"(?:es )?tut mir(?: \w+)? leid[,.;:!]?(?: aber\b)?|(?:ich bitte um )?(?:entschuldigung|"
        r"verzeihung)[,.;!]?(?: aber\b)?|"
        r"leider\b,?|bedauerlicherweise\b,?|ich entschuldige mich[^.!?,]{0,50}[,.;]?(?: aber\b)?|"
        r"ich (?:verstehe|sehe|respektiere)\b[^.!?]{0,160}?,? aber\b|aber\b|"
        r"als (?:ein |eine )?[^.!?,]{0,30}?(?:KI|künstliche Intelligenz|Sprachmodell|AI)\b"
        r"(?!-(?:Forsch|Expert|Entwickl|Ingenieur))[^.!?,]{0,40}?,?(?= (?:kann|darf|ist|habe|bin)\b)|"
        r"ich bin (?:nur )?(?:ein |eine )[^.!?,]{0,40}?(?:KI|Sprachmodell|AI)\b[^.!?,]{0,30}[,.;](?: (?:und|"
        r"aber|daher)\b)?"
    ),
    always=(
        r"(?:ich (?:kann|darf|werde|möchte|könnte)|(?:dabei|damit|hierbei|da|das) (?:kann|darf|werde|möchte) ich|"
        r"(?:kann|darf|werde|möchte) ich)(?: (?!mir\b)\w+){0,3}? (?:"
        r"(?:leider )?(?:dabei |damit |hierbei |bei diesem \w+ |bei dieser \w+ |mit (?:dieser|deiner|Ihrer) \w+ |"
        r"bei (?:deiner|Ihrer) (?:Anfrage|Frage|Bitte) )?(?:leider )?nicht (?:dabei |damit )?(?:weiter)?"
        r"(?:helfen|behilflich sein|unterstützen)\b"
        r"|(?:dieser|diese|diesem|deiner|deine|Ihrer|Ihre) (?:Anfrage|Bitte|Aufforderung|Frage)(?: leider)? nicht "
        r"(?:nachkommen|erfüllen|entsprechen|beantworten|bearbeiten)\b)"
        r"|ich (?:muss|möchte) (?:diese|deine|Ihre|die) (?:Anfrage|Bitte)(?: leider| höflich)? ablehnen\b"
    ),
    after_lead=(
        r"(?:ich (?:kann|darf|werde|möchte)|(?:kann|darf|werde|möchte) ich|ich bin nicht in der Lage|"
        r"bin ich nicht in der Lage)"
        r"\b[^.!?]{0,80}?\b(?:nicht|kein(?:e|en|er|em)?)\b[^.!?]{0,120}?\b(?:bereitstellen|zur Verfügung stellen|"
        r"bereitzustellen|beantworten|zu beantworten|erstellen|zu erstellen|schreiben|verfassen|nachkommen|äußern|"
        r"generieren|mitmachen|diskutieren|eingehen|anbieten|(?:Anleitung\w*|Auskunft|Auskünfte|Ratschläge|Rat|Tipps|"
        r"Hinweise|Informationen)(?: \w+){0,8}? geben)\b"
    ),
    lacking=(
        r"\b(?:im|aus dem|anhand des|in dem|laut) (?:\w+ )?(?:Text|Artikel|Abschnitt|Dokument|Kontext)\w*\b|"
        r"\bohne (?:weitere|mehr|den|die|"
        r"das|genaue)\b|\bnicht (?:genügend|genug|ausreichend)|\bzu wenig\b|\bbitte (?:gib|geben|sende|senden|teile|"
        r"teilen|stelle|stellen|nenne|nennen|lade|füge)\b|\bfehl(?:t|en)\b|\b(?:Text|Artikel|Abschnitt|"
        r"Dokument)\b[^.!?]{0,40}? (?:nicht|kein)"
    ),
    hedge=(
        r",? \b(?:aber|doch|jedoch|allerdings)\b(?! (?:ich (?:helfe|kann dir (?:gern|gerne)|kann Ihnen (?:gern|"
        r"gerne)|empfehle)|gern|bitte))"
    ),
    machine=r"\b(?:KI|künstliche Intelligenz|Sprachmodell|AI)\b(?!-(?:Forsch|Expert|Entwickl|Ingenieur))",
    of_machine=(
        r"(?:kann|darf|habe|bin) ich\b[^.!?]{0,40}?\b(?:nicht|kein\w*)\b|ich (?:kann|darf|"
        r"habe)\b[^.!?]{0,40}?\b(?:nicht|kein\w*)\b"
    ),
)

FRENCH = Language(
    begins="je |j'|désolé|toutes mes|malheureusement|mais |en tant|vraiment|sincèrement",
    lead=(
        r"(?:je suis |toutes mes excuses, )?(?:vraiment |sincèrement )?désolée?[,.;:!]?(?: mais\b| que\b)?|"
        r"je (?:m'excuse|regrette)[,.;]?(?: mais\b)?|"
        r"malheureusement\b,?|je comprends\b[^.!?]{0,160}?,? mais\b|mais\b|"
        r"en tant qu(?:e |')[^.!?,]{0,40}?(?:IA|intelligence artificielle|modèle (?:de langage|linguistique)|"
        r"assistante?)\b[^.!?,]{0,40},?"
    ),
    always=(
        r"je ne (?:peux|puis|pourrai|vais|suis)(?: malheureusement)? pas(?: en mesure de| autorisée? à)? (?:"
        r"(?:vous |t'|te )?(?:aider|assister)(?: ?[.,;!]| ?$| (?:avec|à|sur|pour|dans) (?:cela|ça|ce|cette|"
        r"votre|ta|ces)\b| à (?:créer|écrire|faire|fabriquer|commettre)\b)"
        r"|(?:répondre|accéder|donner suite|satisfaire) (?:à )?(?:cette|votre|ta) (?:demande|requête|question)\b"
        r"|traiter (?:cette|votre|ta) (?:demande|requête)\b)"
        r"|je dois (?:refuser|décliner) (?:cette|votre|ta) (?:demande|requête)\b"
    ),
    after_lead=(
        r"je ne (?:peux|puis|pourrai|vais|suis|saurais)(?: malheureusement)?(?: pas)?(?: en mesure de|"
        r" autorisée? à)? (?:vous |te |t'|y )?"
        r"(?:fournir|créer|écrire|rédiger|générer|produire|proposer|participer|discuter|exprimer|répondre|partager|"
        r"donner (?:d'|de |des |cette |ces |une? )?(?:instructions|informations?|conseils?|avis|indications|"
        r"opinions?))\b"
    ),
    lacking=(
        r"\b(?:dans|d'après|selon|à partir d[eu]) (?:le|ce|la|cet|l')? ?(?:texte|passage|article|document|"
        r"contexte|extrait)\b|"
        r"\b(?:texte|passage|article|document|extrait)\b[^.!?]{0,30}? (?:ne|n'|n’)\b|"
        r"\bsans (?:plus|davantage|avoir|le texte|le document)\b|\bpas (?:assez|suffisamment)|\binsuffisant|"
        r"\bveuillez\b|\bpouvez-vous\b|\bmanque"
    ),
    hedge=(
        r",? \b(?:mais|cependant|toutefois|pourtant)\b(?! (?:je (?:peux vous aider|serais|suis)|n'hésitez|"
        r"si vous|vous pouvez))"
    ),
    machine=r"\b(?:IA|intelligence artificielle|modèle (?:de langage|linguistique))\b",
    of_machine=r"je (?:ne (?:peux|suis|dispose|possède)|n'ai) pas\b|je n'ai (?:aucune?|pas)\b",
)

SPANISH = Language(
    begins=(
        "lo |disculp|perd|lamentablemente|desafortunadamente|desgraciadamente|entiendo|comprendo|pero |como |no |"
        "debo|tengo que"
    ),
    lead=(
        r"lo (?:siento|lamento)(?: mucho| mucho,)?[,.;:!]?(?: pero\b)?|(?:disculp[ae]|perdón|"
        r"perdona)[,.;!]?(?: pero\b)?|"
        r"(?:lamentablemente|desafortunadamente|desgraciadamente)\b,?|(?:entiendo|"
        r"comprendo)\b[^.!?]{0,160}?,? pero\b|pero\b|"
        r"como (?:un |una )?(?:modelo de lenguaje|IA|inteligencia artificial|asistente)\b[^.!?,]{0,40},?"
    ),
    always=(
        r"no (?:puedo|podré|podría|voy a|estoy autorizad[oa] a|estoy en condiciones de|me es posible) (?:"
        r"ayudar(?:te|le|les|os|lo|la)?(?: ?[.,;!]| ?$| (?:con|en) (?:eso|esto|ello|es[ea]|est[ea]|tu|su) ?|"
        r" a (?:crear|hacer|escribir|fabricar|cometer)\b)"
        r"|(?:cumplir|atender|responder|procesar|completar) (?:con |a )?(?:es[ea]|est[ea]|tu|su|"
        r"dicha) (?:solicitud|petición|pregunta|consulta)\b)"
        r"|(?:debo|tengo que) (?:rechazar|declinar) (?:es[ea]|est[ea]|tu|su) (?:solicitud|petición)\b"
    ),
    after_lead=(
        r"no (?:puedo|podré|podría|voy a|estoy autorizad[oa] a|me es posible) (?:proporcionar|ofrecer|crear|"
        r"escribir|generar|producir|compartir|"
        r"participar|discutir|brindar|facilitar|expresar|responder|redactar|dar)(?:te|le|les|os)?\b(?! cuenta)"
    ),
    lacking=(
        r"\b(?:en|según|a partir de|con) (?:el|este|la|la) ?(?:texto|pasaje|artículo|documento|contexto|"
        r"fragmento|información)\b|\bsin (?:más|el texto|conocer|ver)\b|"
        r"\b(?:texto|artículo|documento|pasaje)\b[^.!?]{0,30}? no\b|"
        r"\bno (?:hay )?suficiente|\binsuficiente|\bpor favor,? (?:proporcion|compart|envía|indica)|"
        r"\bpodrías? (?:proporcion|compart)|\bfalta"
    ),
    hedge=r",? \b(?:pero|sin embargo|aunque)\b(?! (?:puedo ayudar|estoy|si |con gusto|puedes))",
    machine=r"\b(?:IA|inteligencia artificial|modelo de lenguaje)\b",
    of_machine=r"no (?:puedo|tengo|poseo|soy capaz)\b",
)

ITALIAN = Language(
    begins="mi dispiace|sono |spiacente|scusa|mi scuso|purtroppo|capisco|ma |come |in quanto|non ",
    lead=(
        r"(?:mi dispiace|sono spiacente|spiacente|scusa|mi scuso)(?: molto)?[,.;:!]?(?: ma\b)?|purtroppo\b,?|"
        r"capisco\b[^.!?]{0,160}?,? ma\b|ma\b|"
        r"(?:come|in quanto) (?:un |una )?(?:modello linguistico|IA|intelligenza artificiale|"
        r"assistente)\b[^.!?,]{0,40},?"
    ),
    always=(
        r"non (?:posso|potrò|sono in grado di|mi è possibile) (?:aiutar(?:ti|la|vi|lo)|assister(?:ti|la|vi))"
        r"(?: ?[.,;!]| ?$| (?:con|in) (?:questo|questa|ciò|quest[oa]|la tua|la sua)\b| a (?:creare|scrivere|"
        r"fare|costruire)\b)"
        r"|non (?:posso|potrò|sono in grado di) (?:soddisfare|rispondere a|elaborare|esaudire) (?:questa|la tua|"
        r"la sua) (?:richiesta|domanda)\b"
    ),
    after_lead=(
        r"non (?:posso|potrò|sono in grado di|mi è possibile) (?:fornir(?:e|ti|le|vi)|rispondere|creare|"
        r"scrivere|generare|condividere|discutere|"
        r"offrir(?:e|ti)|esprimere|partecipare|dar(?:e|ti) (?:istruzioni|consigli|informazioni|indicazioni))\b"
    ),
    lacking=(
        r"\b(?:nel|dal|secondo il|in base al) (?:testo|brano|documento|contesto|articolo)\b|\bsenza (?:più|"
        r"ulteriori|il testo)\b|\b(?:testo|brano|documento|articolo)\b[^.!?]{0,30}? non\b|"
        r"\bnon (?:ci sono )?abbastanza|\binsufficient|\bpuoi (?:fornir|condivid)|\bper favore\b|\bmanca"
    ),
    hedge=r",? \b(?:ma|però|tuttavia)\b(?! (?:posso aiutar|sarò|se ))",
    machine=r"\b(?:IA|intelligenza artificiale|modello linguistico)\b",
    of_machine=r"non (?:posso|ho|possiedo|sono in grado)\b",
)

PORTUGUESE = Language(
    begins="desculp|me desculp|sinto|lamento|perdão|infelizmente|entendo|compreendo|mas |como |eu |não ",
    lead=(
        r"(?:(?:me )?desculp[ea]|sinto muito|lamento|perdão)[,.;:!]?(?: mas\b)?|infelizmente\b,?|(?:entendo|"
        r"compreendo)\b[^.!?]{0,160}?,? mas\b|mas\b|"
        r"como (?:um |uma )?(?:modelo de linguagem|IA|inteligência artificial|assistente)\b[^.!?,]{0,40},?"
    ),
    always=(
        r"(?:eu )?não (?:posso|poderei|consigo|vou|tenho permissão para|estou autorizad[oa] a) (?:(?:te |lhe |"
        r"o |a )?ajudar|ajudá-l[oa]s?|auxiliar)"
        r"(?: ?[.,;!]| ?$| (?:com|nisso|nesse|nessa|neste|nesta)(?: (?:isso|isto|ess[ea]|est[ea]|o seu|a sua|"
        r"seu|sua))?\b| a (?:criar|fazer|escrever|cometer)\b)"
        r"|(?:eu )?não (?:posso|poderei|vou) (?:atender|cumprir|responder|processar) (?:a |com )?(?:ess[ea]|"
        r"est[ea]|o seu|a sua|sua|seu) (?:solicitação|pedido|pergunta)\b"
    ),
    after_lead=(
        r"(?:eu )?não (?:posso|poderei|consigo|vou|tenho permissão para) (?:te |lhe )?(?:fornecer|criar|"
        r"escrever|gerar|produzir|compartilhar|discutir|"
        r"participar|oferecer|expressar|responder|dar (?:instruções|conselhos|informações|orientações))\b"
    ),
    lacking=(
        r"\b(?:no|do|segundo o|com base no) (?:texto|trecho|artigo|documento|contexto)\b|\bsem (?:mais|o texto|"
        r"conhecer)\b|\b(?:texto|trecho|artigo|documento)\b[^.!?]{0,30}? não\b|\bnão (?:há )?suficiente|"
        r"\binsuficiente|\bpor favor,? (?:forneça|envie|compartilhe)|\bpoderia (?:fornecer|enviar)|\bfalta"
    ),
    hedge=r",? \b(?:mas|porém|no entanto|contudo)\b(?! (?:posso ajudar|estou|se |ficarei))",
    machine=r"\b(?:IA|inteligência artificial|modelo de linguagem)\b",
    of_machine=r"(?:eu )?não (?:posso|tenho|possuo|consigo)\b",
)
