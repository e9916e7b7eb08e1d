-- How many rows there are, how many of them stand before a place in an insert, and the last insert.
SELECT
    count(), countIf((_block_number, _block_offset) < ({number:UInt64}, {offset:UInt64})),
    max(_block_number)
FROM {table:Identifier}
