-- How the engine writes these queries down.
SELECT formatQuerySingleLine(arrayJoin({queries:Array(String)}))
