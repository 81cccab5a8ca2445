with

landed as (

    select distinct topic, partition, offset
    from {{ source('landing', 'cdr') }}
    where landed_at <= (select cutoff.landed_until from {{ ref('rating_cutoff') }} as cutoff)

),

-- only a partition with fewer messages than its offsets span is worth sorting
gapped_partitions as (

    select topic, partition
    from landed
    group by topic, partition
    having count(*) <> max(offset) - min(offset) + 1

),

followed as (

    select
        landed.topic,
        landed.partition,
        landed.offset,
        lead(landed.offset) over (partition by landed.topic, landed.partition order by landed.offset) as next_offset
    from landed
    left semi join gapped_partitions
        on landed.topic = gapped_partitions.topic and landed.partition = gapped_partitions.partition

),

gaps as (

    select
        topic,
        partition,
        offset + 1 as first_missing_offset,
        next_offset - 1 as last_missing_offset,
        next_offset - offset - 1 as missing
    from followed
    where next_offset > offset + 1

)

select * from gaps
