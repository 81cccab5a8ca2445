-- What a closed month keeps. `telecom close` makes its bills final in the transaction that closes it; guard_final
-- (003) holds the bills, and here their lines, the month itself, and bills that would come to it afterwards.

-- The usage detail of a final bill's annex, as it was rated when the month was closed: usage_records goes on changing.
create table bill_usage (
    bill_id text not null references bills,
    record_id text not null,
    record_type text not null,
    event_time timestamptz not null,
    peer_msisdn text,
    zone text,
    quantity numeric(18, 6) not null,
    cost numeric(18, 6) not null,
    primary key (bill_id, record_id)
);

create function guard_closed_month() returns trigger language plpgsql as $$
begin
    if exists (
        select from changed
        where changed.period <= (select to_char(max(month), 'YYYY-MM') from billing_months)
    ) then
        raise exception 'a closed month takes no more bills';
    end if;
    return null;
end
$$;

create trigger guard_closed_month after insert on bills
referencing new table as changed for each statement execute function guard_closed_month();

-- Statement triggers on what changed: one look at the bills for a million lines, not a million looks.
create function guard_final_lines() returns trigger language plpgsql as $$
begin
    if exists (select from changed inner join bills on bills.bill_id = changed.bill_id and bills.state = 'final') then
        raise exception 'lines of a final bill cannot change';
    end if;
    return null;
end
$$;

create trigger guard_final_insert after insert on bill_lines
referencing new table as changed for each statement execute function guard_final_lines();
create trigger guard_final_update after update on bill_lines
referencing old table as changed for each statement execute function guard_final_lines();
create trigger guard_final_delete after delete on bill_lines
referencing old table as changed for each statement execute function guard_final_lines();

create function guard_closing() returns trigger language plpgsql as $$
begin
    raise exception 'month % is closed for good', to_char(old.month, 'YYYY-MM');
end
$$;

create trigger guard_closing before update or delete on billing_months
for each row execute function guard_closing();
