"""What an invoice says in each language: its words, and how it writes money, units and dates."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, get_args

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

NARROW_SPACE = "\u202f"
MINUS = "\u2212"
SECONDS_PER_MINUTE, SECONDS_PER_HOUR = 60, 3600
MEGABYTES_PER_GIGABYTE = 1024

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "invoice": "Invoice",
        "draft": "Draft",
        "draft_note": "This is a preview. The amounts are final when the month is closed.",
        "number": "Invoice number",
        "date": "Invoice date",
        "period": "Period",
        "customer": "Customer",
        "account": "Customer number",
        "msisdn": "Mobile number",
        "plan": "Plan",
        "amount_due": "Amount due",
        "credit": "Credit in your favour",
        "summary": "Your month",
        "usage": "Usage",
        "fee": "Monthly fee",
        "minimum_spend": "Complement to the minimum spend",
        "adjustment": "Corrections of earlier months",
        "adjustment_line": "{month}: {what}",
        "item": "Item",
        "quantity": "Quantity",
        "included": "Included",
        "amount": "Amount",
        "discount_line": "Discount: {name}",
        "tax": "Tax",
        "subtotal": "Subtotal",
        "total_excluded": "Total excluding taxes",
        "total": "Total including taxes",
        "allowances": "Your allowances",
        "allowance": "Allowance",
        "of_month": "This month",
        "rolled_over": "Carried over",
        "used": "Used",
        "left": "Left",
        "detail": "Usage detail",
        "detail_note": "Prices before allowances, discounts and taxes. Times are local.",
        "when": "Date and time",
        "peer": "Number",
        "zone": "Zone",
        "price": "Price",
        "questions": "Questions about this invoice?",
        "days": "days",
        "messages": "SMS",
        "voice": "Calls",
        "sms": "SMS",
        "data": "Mobile internet",
        "*": "All services",
        "no_tax": "No tax",
    },
    "fr": {
        "invoice": "Facture",
        "draft": "Projet",
        "draft_note": "Ceci est un aperçu. Les montants sont définitifs à la clôture du mois.",
        "number": "Numéro de facture",
        "date": "Date de facture",
        "period": "Période",
        "customer": "Client",
        "account": "Numéro de client",
        "msisdn": "Numéro de mobile",
        "plan": "Forfait",
        "amount_due": "Montant à payer",
        "credit": "Avoir en votre faveur",
        "summary": "Votre mois",
        "usage": "Consommations",
        "fee": "Abonnement",
        "minimum_spend": "Complément au minimum de facturation",
        "adjustment": "Régularisations de mois antérieurs",
        "adjustment_line": "{month} : {what}",
        "item": "Libellé",
        "quantity": "Quantité",
        "included": "Inclus",
        "amount": "Montant",
        "discount_line": "Remise : {name}",
        "tax": "Taxe",
        "subtotal": "Sous-total",
        "total_excluded": "Total hors taxes",
        "total": "Total toutes taxes comprises",
        "allowances": "Vos volumes inclus",
        "allowance": "Volume",
        "of_month": "Ce mois",
        "rolled_over": "Reporté",
        "used": "Consommé",
        "left": "Restant",
        "detail": "Détail des consommations",
        "detail_note": "Prix avant volumes inclus, remises et taxes. Heures locales.",
        "when": "Date et heure",
        "peer": "Numéro",
        "zone": "Zone",
        "price": "Prix",
        "questions": "Une question sur cette facture ?",
        "days": "jours",
        "messages": "SMS",
        "voice": "Appels",
        "sms": "SMS",
        "data": "Internet mobile",
        "*": "Tous services",
        "no_tax": "Sans taxe",
    },
}
MONTHS: dict[Language, tuple[str, ...]] = {
    "en": ("January", "February", "March", "April", "May", "June", "July")
    + ("August", "September", "October", "November", "December"),
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet")
    + ("août", "septembre", "octobre", "novembre", "décembre"),
}
ZONES: dict[Language, dict[str, str]] = {
    "en": {"on_net": "our network", "off_net": "other networks", "home": "Morocco", "*": "all zones"},
    "fr": {
        "on_net": "notre réseau",
        "off_net": "autres réseaux",
        "fixed": "fixes",
        "home": "Maroc",
        "africa": "Afrique",
        "asia_pacific": "Asie-Pacifique",
        "customer_care": "service client",
        "emergency": "urgences",
        "europe": "Europe",
        "freephone": "numéros verts",
        "gulf": "Golfe",
        "latin_america": "Amérique latine",
        "maghreb": "Maghreb",
        "north_america": "Amérique du Nord",
        "premium_sms": "SMS surtaxés",
        "premium_voice": "numéros surtaxés",
        "roaming_europe": "itinérance Europe",
        "roaming_maghreb": "itinérance Maghreb",
        "roaming_world": "itinérance monde",
        "satellite": "satellite",
        "shared_cost": "coûts partagés",
        "wifi": "wifi",
        "*": "toutes zones",
    },
}


@dataclass(frozen=True)
class Texts:
    """One language's words and number formats."""

    language: Language

    def word(self, key: str) -> str:
        """Return the word for a key of `WORDS`; an unknown key, such as a new service, is its own word."""
        return WORDS[self.language].get(key, key)

    def zone(self, zone: str) -> str:
        """Return a zone's name; one without a translation is named as in the catalogue."""
        return ZONES[self.language].get(zone, zone.replace("_", " "))

    def number(self, value: Decimal) -> str:
        """Write a number with all its decimals and the language's separators."""
        text = f"{value:,f}".replace("-", MINUS)
        if self.language == "fr":
            return text.translate({ord(","): NARROW_SPACE, ord("."): ","})
        return text

    def money(self, value: Decimal, currency: str) -> str:
        """Write an amount with its currency, never broken over two lines."""
        return f"{self.number(value)}\u00a0{currency}"

    def price(self, value: Decimal) -> str:
        """Write the price of a record with the decimals that it needs, at least two."""
        whole, _, decimals = f"{value:f}".partition(".")
        return self.number(Decimal(f"{whole}.{decimals.rstrip('0'):0<2}"))

    def units(self, value: Decimal, unit: str) -> str:
        """Write a quantity: seconds as h:mm:ss, megabytes with a fitting unit, messages and days counted."""
        if unit == "second":
            seconds = int(abs(value).to_integral_value())
            hours, rest = divmod(seconds, SECONDS_PER_HOUR)
            minutes, seconds = divmod(rest, SECONDS_PER_MINUTE)
            return f"{MINUS if value < 0 else ''}{hours}:{minutes:02d}:{seconds:02d}"
        if unit == "megabyte":
            large = abs(value) >= MEGABYTES_PER_GIGABYTE
            size = (value / MEGABYTES_PER_GIGABYTE if large else value).quantize(Decimal("0.01"))
            byte = "o" if self.language == "fr" else "B"
            return f"{self.number(size)}\u00a0{'G' if large else 'M'}{byte}"
        whole = value.quantize(Decimal(1) if value == value.to_integral_value() else Decimal("0.01"))
        word = {"message": "messages", "day": "days"}.get(unit)
        return f"{self.number(whole)}\u00a0{self.word(word)}" if word else self.number(whole)

    def percent(self, value: Decimal) -> str:
        """Write a percentage without trailing zeros."""
        text = f"{value:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return f"{text.replace('.', ',') if self.language == 'fr' else text}\u00a0%"

    def tax(self, name: str | None, rate: Decimal) -> str:
        """Name a tax and its rate, once where the name says it."""
        percent = self.percent(rate)
        if name is None:
            return f"{self.word('tax')} {percent}" if rate else self.word("no_tax")
        plain = name.replace("\u00a0", " ").replace(" ", "")
        return name if percent.replace("\u00a0", "") in plain else f"{name} ({percent})"

    def date(self, value: date) -> str:
        """Write a date with the month's name."""
        month = MONTHS[self.language][value.month - 1]
        day = "1er" if self.language == "fr" and value.day == 1 else str(value.day)
        return f"{day} {month} {value.year}"

    def month(self, period: str) -> str:
        """Write a month that is given as YYYY-MM."""
        return f"{MONTHS[self.language][int(period[5:7]) - 1]} {period[:4]}"
